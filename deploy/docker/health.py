"""`python -m deploy.docker.health PROCESS`: the health check of a container, 0 or 1."""

import os
import sys

from deploy.local.health import CHECKS, is_healthy


def main(arguments: list[str]) -> int:
    """0 if the process answers, 1 if not."""
    [process] = arguments
    if process not in CHECKS:
        sys.exit(f"There is no process {process}: choose from {', '.join(CHECKS)}.")
    return 0 if is_healthy(process, os.environ) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
