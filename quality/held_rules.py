"""The rules that hold events back, written as a macro of dbt: stated once, in `raw_llm_events`.

`python -m quality.held_rules` writes the macro anew after a rule has changed.
"""

import sys
from pathlib import Path
from typing import Final

from quality.raw_llm_events import RULES

MACRO: Final = Path(__file__).resolve().parents[1] / "dbt_project" / "macros" / "held_rules.sql"
HEAD: Final = """{#-
  The rules whose breach holds an event back: what it reports would be a wrong figure. Written by
  `python -m quality.held_rules` from quality/raw_llm_events.py, where they are stated.
-#}
{% macro held_rules() %}
    {{ return({
"""
TAIL: Final = "    }) }}\n{% endmacro %}\n"


def macro() -> str:
    """The file that belongs to the rules as they are."""
    lines = [f'        "{rule.name}": "{rule.truth}",\n' for rule in RULES if rule.holds_back]
    return HEAD + "".join(lines) + TAIL


def main() -> None:
    """Write the file."""
    MACRO.write_text(macro())
    sys.stdout.write(f"{MACRO}\n")


if __name__ == "__main__":
    main()
