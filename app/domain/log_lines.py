"""Lines of logs: how long they are, how important, and how a person reads them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from milepost.lines import escape_text
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


def write_line(at: datetime, level: str, text: str) -> str:
    """Return a line as text: time, level, text; what follows a line break in it is indented by two blanks.

    What a terminal would obey is written as its escape.
    """
    first, *others = text.splitlines() or [""]
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    head = f"{moment}Z {level} {_show(first)}".rstrip(" ") + "\n"
    return head + "".join(f"  {_show(other)}\n" for other in others)


def _show(text: str) -> str:
    return "\t".join(escape_text(part) for part in text.split("\t"))
