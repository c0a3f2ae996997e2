"""Pure: rules as YAML, and what people type."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import yaml

from cli.errors import CliError

if TYPE_CHECKING:
    from ingest_api.alerts.rules import AlertRule

DURATION: Final = re.compile(r"(\d+)(s|m|h|d)?", re.ASCII)
SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def read_rules(text: str) -> list["AlertRule"]:
    """The rules of a file: a list under `rules`.

    Raises:
        CliError: it is no YAML, or a rule is none; names the rule and the field.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise CliError(f"The file is no YAML{where}: what `alerts export` prints is.") from None
    if not isinstance(content, dict) or not isinstance(content.get("rules"), list):
        raise CliError("The file has no list under `rules`, as `llmscope alerts export` prints it.")
    return [make_rule(one) for one in content["rules"]]


def make_rule(fields: Any) -> "AlertRule":
    """A rule of its fields.

    Raises:
        CliError: it is none; names the rule and the field.
    """
    import msgspec

    from ingest_api.alerts.rules import AlertRule

    try:
        return msgspec.convert(fields, AlertRule)
    except msgspec.ValidationError as error:
        name = fields.get("name", "?") if isinstance(fields, dict) else "?"
        raise CliError(f"Rule {name!r}: {error}.") from None


def write_rules(rules: Sequence[dict[str, Any]]) -> str:
    """The file that `read_rules` reads."""
    return str(yaml.safe_dump({"rules": list(rules)}, sort_keys=False, allow_unicode=True))


def read_duration(option: str, text: str) -> int:
    """Seconds of 90, 5m, 1h or 2d.

    Raises:
        CliError: it is none.
    """
    found = DURATION.fullmatch(text)
    if not found:
        raise CliError(f"{option} is {text!r}: write it as 5m, 1h or 2d.")
    return int(found[1]) * SECONDS[found[2] or ""]


def read_change(text: str) -> tuple[str, Any]:
    """A field and its new value, as in threshold=20; values are YAML.

    Raises:
        CliError: it is none.
    """
    name, equals, value = text.partition("=")
    try:
        if name and equals:
            return name.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        pass
    raise CliError(f"{text!r} is no change: write it as threshold=20 or channels=[ops].")
