"""Text that stays on one line, and tells a terminal nothing."""

from datetime import UTC, datetime


def escape_text(text: str) -> str:
    """Return ``text`` with what cannot be printed written as Python writes it: a line break as its escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def write_line(at: datetime, level: str, text: str) -> str:
    """Return a line of a log: time, level, text; what follows a line break in it is indented by two blanks."""
    first, *others = text.replace("\r\n", "\n").split("\n")
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    head = f"{moment}Z {level} {_escape_each(first)}".rstrip(" ") + "\n"
    return head + "".join(f"  {_escape_each(other)}\n" for other in others)


def _escape_each(text: str) -> str:
    """Return ``text`` as `escape_text` does, with its tabs."""
    return "\t".join(escape_text(part) for part in text.split("\t"))
