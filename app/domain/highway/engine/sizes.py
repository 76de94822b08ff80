"""How large values may be that are put together from others: of loops, of branches, of children and of a run.

Each step remembers how large its result is, so that one that is too large is never read, let alone put together.
"""

from collections.abc import Iterable
from json import dumps

from app.domain.highway.engine.state import StepState
from app.domain.json_texts import Json

RESULT_BYTES_MOST = 16 * 1024 * 1024
"""Bytes of JSON."""
SIZE = "size"
"""Fact of a completed step: how many bytes of JSON its result is; of an open loop, what its iterations came to so far.
Steps that completed under earlier versions have none."""


def size_of(value: Json) -> int:
    """Return how many bytes of JSON a value is."""
    return len(dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))


def size_together(steps: Iterable[StepState]) -> int:
    """Return how many bytes the results of steps are by name, as far as the steps remember it."""
    return sum(len(step.path) + 4 + step.facts.get(SIZE, 0) for step in steps)


def is_too_large(size: int) -> bool:
    """Return whether nothing may be put together that is so large, in bytes."""
    return size > RESULT_BYTES_MOST


def too_large(what: str) -> dict[str, str]:
    """Return the error of a step or a run whose result would be too large; ``what`` it is put together from."""
    message = f"{what} come to more than the {RESULT_BYTES_MOST} bytes that a result may have together"
    return {"name": "ResultTooLarge", "message": message}
