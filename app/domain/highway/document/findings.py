"""What is found wrong, or worth a warning, in a definition."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in a document that refuses it, or that its author should know."""

    code: str
    pointer: str
    """RFC 6901 into the document."""
    detail: str
    """One sentence that helps."""


def pointer_to(*parts: str | int) -> str:
    """Return the JSON pointer through these members. Source: RFC 6901."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
