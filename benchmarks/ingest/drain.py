"""The loader as the sensor runs it, in a process of its own, once a line arrives on stdin.

`python -m benchmarks.ingest.drain` in the environment of a platform's processes.
"""

import os
import sys

from orchestration.loading.loader import Loader
from orchestration.resources import EventStream, Warehouse

FOR_EVER_SECONDS = 3600.0


def main() -> None:
    """Get ready, say so, wait for the start, load until killed."""
    warehouse = Warehouse(database_url=os.environ["DATABASE_URL"])
    reader = EventStream(redis_url=os.environ["REDIS_URL"]).reader("benchmark")
    with warehouse.borrow() as connection:
        connection.execute("select 1")
    print("ready", flush=True)
    sys.stdin.readline()
    Loader(reader, warehouse.borrow).drain(FOR_EVER_SECONDS)


if __name__ == "__main__":
    main()
