"""Text for a person at a terminal: as wide as it is, in colours where it has them, any script in its columns."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import accumulate
from typing import NamedTuple

import typer

_COLOURS: Mapping[str, str] = {
    "completed": "green",
    "failed": "red",
    "upstream_failed": "red",
    "running": "cyan",
    "sleeping": "blue",
    "paused": "yellow",
    "late": "yellow",
}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_TENTHS_BELOW = 10
_CUT = "…"
_GAP = "  "


class Column(NamedTuple):
    """A column of a table; ``share`` is how much of the room that is left it may take, 0 for all that it needs."""

    heading: str
    share: float = 0
    is_number: bool = False


def is_terminal() -> bool:
    """Return whether a person reads what is printed."""
    return sys.stdout.isatty()


def terminal_width() -> int:
    """Return how many columns there are: those of `COLUMNS`, or of the terminal."""
    return max(20, shutil.get_terminal_size().columns)


def has_colours() -> bool:
    """Return whether colours are wanted. Source: no-color.org."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str) -> str:
    """Return ``text`` in the colour of the last status that it names."""
    colours = [colour for status, colour in _COLOURS.items() if status in text.replace("(", " ").split()[:1]]
    colours += [colour for status, colour in _COLOURS.items() if f"({status}" in text]
    return typer.style(text, fg=colours[-1]) if colours and has_colours() else text


def width_of(text: str) -> int:
    """Return how many columns ``text`` takes."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return ``text``, or as much of its beginning as ``width`` columns hold."""
    if width_of(text) <= width:
        return text
    ends = accumulate(map(_width, text))
    kept = sum(1 for end in ends if end <= width - 1)
    return text[:kept] + _CUT if width > 0 else ""


def one_line(text: str) -> str:
    """Return ``text`` on one line, without characters that move the cursor."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def write_seconds(seconds: float) -> str:
    """Return a duration in its two largest units at most: `0.4s`, `42s`, `3m`, `2h 5m`, `4d 3h`."""
    seconds = max(0.0, seconds)
    if seconds < _TENTHS_BELOW:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    place = next(place for place, (size, _) in enumerate(_UNITS) if whole >= size)
    size, unit = _UNITS[place]
    rest = [(whole % size // size_, unit_) for size_, unit_ in _UNITS[place + 1 : place + 2]]
    return " ".join(f"{count}{unit_}" for count, unit_ in [(whole // size, unit), *rest] if count)


def write_age(then: str | None, now: datetime) -> str:
    """Return how long ago a moment was, in one unit: `3m`."""
    return "-" if then is None else write_seconds((now - read_time(then)).total_seconds()).partition(" ")[0]


def write_span(began: str | None, ended: str | None, now: datetime) -> str:
    """Return how long something took, or has taken until ``now``."""
    if began is None:
        return "-"
    end = now if ended is None else read_time(ended)
    return write_seconds((end - read_time(began)).total_seconds())


def read_time(text: str) -> datetime:
    """Return a moment as the service writes it."""
    return datetime.fromisoformat(text)


def read_clock() -> datetime:
    """Return what time it is here."""
    return datetime.now(UTC)


def write_rows(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table that is no wider than ``width``: what is too long for its column is cut."""
    lines = [[column.heading for column in columns], *rows]
    needs = [max(width_of(line[i]) for line in lines) for i in range(len(columns))]
    widths = _share_out(columns, needs, width - len(_GAP) * (len(columns) - 1))
    written = [[_fit(*each) for each in zip(line, widths, columns, strict=True)] for line in lines]
    heading, *others = (_GAP.join(line).rstrip() for line in written)
    painted = [_paint_cells(line, row) for line, row in zip(others, written[1:], strict=True)]
    return "".join(f"{line}\n" for line in [heading, *painted])


def _paint_cells(line: str, cells: Sequence[str]) -> str:
    for cell in cells:
        painted = paint(cell)
        if painted != cell and cell.strip():
            return line.replace(cell.rstrip(), paint(cell.rstrip()), 1)
    return line


def _fit(cell: str, width: int, column: Column) -> str:
    shown = cut(cell, width)
    blanks = " " * (width - width_of(shown))
    return blanks + shown if column.is_number else shown + blanks


def _share_out(columns: Sequence[Column], needs: Sequence[int], width: int) -> list[int]:
    """Return how wide each column is: first come those that need all of theirs, the others share what is left."""
    left = width - sum(need for need, column in zip(needs, columns, strict=True) if not column.share)
    shares = sum(column.share for column in columns)
    widths = list(needs)
    for place, column in sorted(enumerate(columns), key=lambda each: needs[each[0]] / (each[1].share or 1)):
        if column.share:
            widths[place] = max(1, min(needs[place], round(left * column.share / shares)))
            left -= widths[place]
            shares -= column.share
    return widths
