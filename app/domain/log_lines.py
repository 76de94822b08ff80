"""Lines of logs: how long they are, and how important."""

from collections.abc import Sequence
from typing import NamedTuple

from milepost.schemas.logs import TEXT_BYTES_MOST, LogLevel

LEVELS: Sequence[LogLevel] = tuple(LogLevel)
"""What is stored of a level is its place here."""


class CutText(NamedTuple):
    """A text as it is kept, and whether that is only its beginning."""

    text: str
    is_truncated: bool


def cut_text(text: str, most: int = TEXT_BYTES_MOST) -> CutText:
    """Return the beginning of ``text`` that has up to ``most`` bytes of UTF-8, cut between two characters."""
    if len(text) * 4 <= most or len(written := text.encode()) <= most:
        return CutText(text, is_truncated=False)
    return CutText(written[:most].decode(errors="ignore"), is_truncated=True)
