"""`make check-exporters`: today's instrumentations against the platform that runs.

Its project gets 52 rows, whose service is the instrumentation's name.
"""

import os
import sys
from collections import Counter
from urllib.parse import urlsplit

import psycopg

from deploy.local.environment import platform_from
from tests.environments import side_environment
from tests.exporters.judgement import GAPS, judge, read_rows
from tests.exporters.processes import INSTRUMENTATIONS, export_calls
from tests.running import wait_until

LOADED_SECONDS = 30.0


def main() -> int:
    """Send, wait for the rows, print the table; 1 where a row is not what was answered."""
    platform = platform_from(os.environ)
    key = (platform.home / "api_key").read_text().strip()
    python = side_environment("instrumentations")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        before = len(read_rows(connection, INSTRUMENTATIONS))
        answers = export_calls(python, platform.api_url, key)
        rows = []

        def loaded() -> bool:
            rows[:] = read_rows(connection, INSTRUMENTATIONS)[before:]
            return len(rows) >= len(answers)

        wait_until(loaded, f"{len(answers)} rows", LOADED_SECONDS)
    verdict = judge(answers, rows)
    print(f"{urlsplit(platform.api_url).netloc}: {len(answers)} calls, {len(rows)} rows")
    for name, count in sorted(Counter(answer.client for answer in answers).items()):
        print(f"{name:15}{count:4} calls")
    for gap in sorted(verdict.gaps):
        print(f"not on the span: {' '.join(gap)}{'' if gap in GAPS else ' UNEXPLAINED'}")
    return int(bool(verdict.missing or verdict.surplus or verdict.gaps - GAPS))


if __name__ == "__main__":
    sys.exit(main())
