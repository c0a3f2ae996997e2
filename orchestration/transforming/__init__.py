"""dbt as Dagster assets: what is built, with which arguments and when."""
