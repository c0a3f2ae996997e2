"""What a price can be for, and how many of it the price buys."""

from typing import Final

TOKENS: Final = (
    "input", "cache_read", "cache_read_audio", "cache_read_image", "cache_read_video",
    "cache_write", "cache_write_1h", "input_audio", "input_image", "input_video", "output",
    "output_reasoning", "output_citation", "output_audio", "output_image", "output_video",
)  # fmt: skip
COUNTS: Final = ("request", "web_search", "storage_search")
HOUR: Final = "hour"
# Token kind -> how many of it a price buys, and in words.
UNITS: Final[dict[str, tuple[int, str]]] = {
    **dict.fromkeys(TOKENS, (1_000_000, "1M tokens")),
    **dict.fromkeys(COUNTS, (1_000, "1K calls")),
    HOUR: (1, "1 hour"),
}
SERVICE_TIERS: Final = ("default", "batch", "flex", "priority", "fast")
