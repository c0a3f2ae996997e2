"""How questions are refused: which parameter is wrong, or which limit it is beyond."""

from ingest_api.errors import BadParameterError, LimitExceededError


def bad(field: str, reason: str) -> BadParameterError:
    """The problem of one parameter."""
    return BadParameterError(
        f"{field}: {reason}", extra={"errors": [{"field": field, "reason": reason}]}
    )


def beyond(name: str, maximum: int, asked: int | None, advice: str) -> LimitExceededError:
    """The problem of one limit; `asked` is null where it was not counted to the end."""
    words = f"more than {maximum:,}" if asked is None else f"{asked:,} of at most {maximum:,}"
    return LimitExceededError(
        f"{name}: the question asks for {words}: {advice}",
        extra={"limit": {"name": name, "maximum": maximum, "asked": asked}},
    )
