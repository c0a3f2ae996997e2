"""Pure: a suite as one SQL statement that gives one row per rule."""

from typing import Final

from quality.suites import Rule, Suite

SAMPLE_SIZE: Final = 20
SHOWN_PROJECTS: Final = 20

# The rows are read once for all rules: a row that keeps them all costs one boolean expression, and
# only the others are looked at rule by rule. A second, bare read counts the rows.
FINDINGS: Final = """
select * from (
with judged as not materialized (
    select event_id::text as row_id, project_id, {truths} from {source}
),
breaches as materialized (
    select row_id, project_id, array_remove(array[{broken}], null) as broken_rules
    from judged
    where ({all_kept}) is false
),
numbered as (
    select
        rule_name,
        row_id,
        row_number() over (partition by rule_name) as breach_number
    from breaches
    cross join unnest(broken_rules) as rule_name
),
found as (
    select
        rule_name,
        count(*) as failed_count,
        to_jsonb(
            array_agg(row_id order by row_id) filter (where breach_number <= {sample_size})
        ) as sample_ids
    from numbered
    group by rule_name
),
by_project as (
    select
        rule_name,
        jsonb_object_agg(project_id, breach_count) as failed_by_project
    from (
        select
            rule_name,
            project_id,
            count(*) as breach_count,
            row_number() over (partition by rule_name order by count(*) desc) as project_number
        from breaches
        cross join unnest(broken_rules) as rule_name
        where project_id is not null
        group by rule_name, project_id
    ) as projects
    where project_number <= {shown_projects}
    group by rule_name
)
select
    rules.rule_name,
    (select count(*) from {counted}) as checked_count,
    coalesce(found.failed_count, 0) as failed_count,
    coalesce(found.sample_ids, '[]')::text as sample_ids,
    coalesce(by_project.failed_by_project, '{{}}')::text as failed_by_project
from unnest(array[{names}]) as rules (rule_name)
left join found using (rule_name)
left join by_project using (rule_name)
) as findings
"""


def findings_query(suite: Suite) -> str:
    """SQL that gives `rule_name`, `checked_count`, `failed_count`, and as JSON text
    `sample_ids` (a list) and `failed_by_project` (an object), one row per rule.
    """
    rules = suite.rules
    return FINDINGS.format(
        truths=", ".join(f"({rule.truth}) as {rule.name}" for rule in rules),
        broken=", ".join(
            f"case when {rule.name} is false then {_literal(rule)} end" for rule in rules
        ),
        all_kept=" and ".join(rule.name for rule in rules),
        names=", ".join(map(_literal, rules)),
        source=suite.source,
        counted=suite.counted or suite.source,
        sample_size=SAMPLE_SIZE,
        shown_projects=SHOWN_PROJECTS,
    )


def _literal(rule: Rule) -> str:
    return f"'{rule.name}'"
