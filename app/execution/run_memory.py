"""How much the memory of a run may hold: it is read and written whole."""

from collections.abc import Mapping

from pydantic_core import to_json

from app.domain.json_texts import JsonValue

MEMORY_MOST = 1024 * 1024
"""Bytes of JSON."""


class MemorySize:
    """How large the memory of a run is, by its members."""

    def __init__(self, memory: Mapping[str, JsonValue]) -> None:
        self._sizes = _sizes_of(memory)

    def take(self, news: Mapping[str, JsonValue]) -> bool:
        """Return whether the memory can take ``news``: then they are counted."""
        sizes = _sizes_of(news)
        growth = sum(size - self._sizes.get(name, 0) for name, size in sizes.items())
        if growth > 0 and sum(self._sizes.values()) + growth > MEMORY_MOST:
            return False
        self._sizes |= sizes
        return True


def _sizes_of(memory: Mapping[str, JsonValue]) -> dict[str, int]:
    return {name: len(to_json(name)) + len(to_json(value)) + 2 for name, value in memory.items()}
