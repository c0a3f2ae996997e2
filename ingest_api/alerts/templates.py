"""Pure: the message of a rule, a text with named placeholders and nothing else."""

import re
from collections.abc import Mapping
from typing import Final

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
NAMES: Final = {
    "rule": "name of the rule",
    "metric": "what it watches, in words",
    "group": "value of what it is grouped by; empty without",
    "value": "the figure, with its unit",
    "threshold": "what it is compared with, with its unit",
    "direction": "above or below",
    "window": "length of the window",
    "scope": "the calls that it is for",
    "severity": "as in the rule",
    "calls": "calls in the window",
    "started_at": "when the condition was first met",
}
DEFAULT: Final = "{metric} is {value} ({direction} {threshold}) over {window}, {scope}"
MAX_CHARACTERS: Final = 1000


def check_template(text: str) -> None:
    """Refuse a placeholder that nothing fills, and a brace that begins none.

    Raises:
        ValueError: names the placeholder and those that there are.
    """
    for name in PLACEHOLDER.findall(text):
        if name not in NAMES:
            known = ", ".join(NAMES)
            raise ValueError(f"message: {{{name}}} is no placeholder; there are {known}")
    if "{" in (rest := PLACEHOLDER.sub("", text)) or "}" in rest:
        raise ValueError("message: a brace stands alone; placeholders are written as {value}")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The message. What is filled in is never looked at for placeholders again."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], ""), text)
