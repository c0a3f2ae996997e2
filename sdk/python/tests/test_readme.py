"""The README says what the code does."""

import inspect
import re
from dataclasses import fields
from pathlib import Path

import llmscope
from llmscope._instrumentation import LIBRARIES
from llmscope._options import Options

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


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
