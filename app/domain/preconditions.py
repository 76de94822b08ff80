"""`If-Match`: change it only if it is still as I saw it."""

import re
from dataclasses import dataclass

from app.errors import ValidationFailed

_ENTITY_TAG = r'(?:W/)?"[!#-~]*"'
ENTITY_TAGS = rf"^(?:\*|{_ENTITY_TAG}(?: *, *{_ENTITY_TAG})*)$"
"""What `If-Match` may hold; a tag may hold commas itself."""


@dataclass(frozen=True, slots=True)
class Precondition:
    """The revisions that a change may be applied to; None: any that exists."""

    entity_tags: frozenset[str] | None

    def holds_for(self, revision: int) -> bool:
        """Return whether ``revision`` is one of those; a weak tag never is. Source: RFC 9110, section 13.1.1."""
        return self.entity_tags is None or entity_tag(revision) in self.entity_tags


def entity_tag(revision: int) -> str:
    """Return the strong entity tag of ``revision``."""
    return f'"{revision}"'


def read_if_match(text: str | None) -> Precondition | None:
    """Return what an `If-Match` header asks for. Raises ValidationFailed if it is neither `*` nor quoted tags."""
    if text is None:
        return None
    if not re.fullmatch(ENTITY_TAGS, text.strip()):
        raise ValidationFailed.at("If-Match", 'must be * or entity tags in quotes, such as "3"')
    return Precondition(None if text.strip() == "*" else frozenset(re.findall(_ENTITY_TAG, text)))
