"""The README says what the code does."""

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

import llmscope
from llmscope._events import FIELDS
from llmscope._instrumentation import LIBRARIES
from llmscope._options import Options

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MIGRATION = (ROOT / "docs" / "migration.md").read_text()


def option_rows() -> str:
    return "\n".join(
        f"| `{option.name}` | {default_words(option.default)} | {option.metadata['unit']} |"
        f" {option.metadata['about']} |"
        for option in fields(Options)
    )


def default_words(default: object) -> str:
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_every_option_is_in_the_table() -> None:
    assert option_rows() in README, f"the table should be:\n{option_rows()}"


def test_every_option_is_an_argument_of_init() -> None:
    assert list(inspect.signature(llmscope.init).parameters) == [o.name for o in fields(Options)]


def test_every_public_name_is_explained() -> None:
    functions = [n for n in llmscope.__all__ if callable(getattr(llmscope, n)) and n.islower()]
    missing = [name for name in functions if f"{name}(" not in README]
    assert missing == []


def test_every_reason_of_a_loss_is_explained() -> None:
    source = (Path(llmscope.__file__).parent).rglob("*.py")
    text = "\n".join(path.read_text() for path in source)
    reasons = re.findall(r"(?:losses\.count|UnsendableError)\(\s*\"(\w+)\"", text)
    assert {"rejected", "queue_full"} <= {*reasons, "queue_full"}
    assert [reason for reason in reasons if f"`{reason}`" not in README] == []


def test_every_library_is_named() -> None:
    assert [name for name in LIBRARIES if f"| `{name}` |" not in README] == []


def test_the_quick_start_has_five_lines() -> None:
    assert len([line for line in code_blocks(README)[0].splitlines() if line]) == 5


@pytest.mark.parametrize("text", [README, MIGRATION], ids=["README", "migration"])
def test_the_code_compiles_and_names_what_is_there(text: str) -> None:
    blocks = code_blocks(text)
    assert len(blocks) > 3
    for block in blocks:
        calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
        for call in calls:
            if ast.unparse(call.func).startswith("llmscope."):
                function = getattr(llmscope, ast.unparse(call.func).removeprefix("llmscope."))
                named = {keyword.arg for keyword in call.keywords}
                taken = inspect.signature(function).parameters
                assert named <= taken.keys() or function is llmscope.record


def test_the_migration_guides_end_with_names_of_ours() -> None:
    """The last column of each table: options, fields of events and functions that exist."""
    rows = re.findall(r"^\| .* \| (.+) \|$", MIGRATION, re.MULTILINE)
    words = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row)}
    ours = {option.name for option in fields(Options)} | FIELDS | set(llmscope.__all__)
    assert words - ours == set()


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
