{#- Operations of agents and tools, which are no call of a model. -#}
{% macro operations_around_calls() %}
    {{ return(['create_agent', 'invoke_agent', 'invoke_workflow', 'execute_tool']) }}
{% endmacro %}
