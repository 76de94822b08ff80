"""How tags are found again: by the text of their value."""

import json
from collections.abc import Mapping

from app.domain.json_texts import JsonValue


def tag_texts(tags: Mapping[str, JsonValue]) -> dict[str, str] | None:
    """Return each tag's value as the text that a filter compares with; None when there are no tags.

    A text is itself; numbers and booleans read as in JSON (`5`, `1.5`, `true`).
    """
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in tags.items()} or None
