"""Text that stays on one line, and tells a terminal nothing."""


def escape_text(text: str) -> str:
    """Return ``text`` with what cannot be printed written as Python writes it: a line break as its escape."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
