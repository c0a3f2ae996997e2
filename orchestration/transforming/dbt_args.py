"""Pure: what dbt is called with."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from psycopg.conninfo import conninfo_to_dict

LOADED_BEFORE = "--loaded-before"  # an argument of run_dbt.py, not of dbt


def build_args(loaded_before: datetime) -> list[str]:
    """`dbt build` of every selected model, over rows loaded before `loaded_before`.

    Raises:
        ValueError: a time without a zone would be read in the database's own zone.
    """
    if loaded_before.tzinfo is None:
        raise ValueError("loaded_before needs a time zone")
    # Unit tests judge the SQL, not the data: they belong to CI.
    return [
        "build",
        "--exclude-resource-type",
        "unit_test",
        LOADED_BEFORE,
        loaded_before.isoformat(),
    ]


def dbt_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with DATABASE_URL spelled out in libpq's variables, for profiles.yml.

    Raises:
        KeyError: DATABASE_URL is not set.
    """
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    names |= {"dbname": "PGDATABASE"}
    parts = conninfo_to_dict(environment["DATABASE_URL"])
    spelled = {name: str(parts[key]) for key, name in names.items() if parts.get(key) is not None}
    quiet = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DBT_USE_COLORS": "false"}
    # A step of a build runs a test once all that it reads is built, not when a part of it is.
    quiet["DBT_INDIRECT_SELECTION"] = "buildable"
    return {**quiet, **environment, **spelled}


def split_args(args: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """dbt's own arguments, and the environment that carries the bound to the macros."""
    if LOADED_BEFORE not in args:
        return list(args), {}
    at = args.index(LOADED_BEFORE)
    return [*args[:at], *args[at + 2 :]], {"LLMSCOPE_LOADED_BEFORE": args[at + 1]}
