"""The native Redis.

`python -m deploy.local.redis_server` replaces itself by the server of the platform in the
environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from deploy.local.becoming import become
from deploy.local.environment import Platform, platform_from
from deploy.local.native import NativeServices
from deploy.local.postgres import NATIVE, stored_password

CONFIGURATION = Path(__file__).with_name("redis.conf")


def configuration(platform: Platform, password: str) -> str:
    """The generated part of the configuration, on top of the committed one."""
    lines = [
        f'include "{CONFIGURATION}"',
        "bind 127.0.0.1",
        f"port {platform.port('redis')}",
        f'dir "{platform.home / "redis"}"',
        f"requirepass {password}",
    ]
    return "\n".join(lines) + "\n"


def server_command(platform: Platform, native: NativeServices = NATIVE) -> list[str]:
    """Write the generated configuration, readable by its owner alone; give the command."""
    (platform.home / "redis").mkdir(parents=True, exist_ok=True, mode=0o700)
    platform.run_folder.mkdir(parents=True, exist_ok=True)
    path = platform.run_folder / "redis.conf"
    path.touch(mode=0o600)
    path.write_text(configuration(platform, stored_password(platform)))
    return [str(native.redis_bin / "redis-server"), str(path)]


def main() -> NoReturn:
    """Become the server."""
    become(server_command(platform_from(os.environ)))


if __name__ == "__main__":
    main()
