"""dbt with DATABASE_URL spelled out for profiles.yml: `python -m ...run_dbt <dbt arguments>`.

Also called by path, from the folder of the dbt project, where this package is not importable.
"""

import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DBT_PROJECT = REPOSITORY / "dbt_project"


def main() -> None:
    """Run dbt's own command line."""
    # In place of this file's own folder, whose dbt.py would hide dbt itself.
    sys.path[0] = str(REPOSITORY)
    from orchestration.transforming.dbt_args import dbt_environment, split_args

    args, bound = split_args(sys.argv[1:])
    os.environ.update(dbt_environment(os.environ) | bound)
    os.environ.setdefault("DBT_PROJECT_DIR", str(DBT_PROJECT))
    os.environ.setdefault("DBT_PROFILES_DIR", str(DBT_PROJECT))

    from dbt.cli.main import cli

    cli(args)


if __name__ == "__main__":
    main()
