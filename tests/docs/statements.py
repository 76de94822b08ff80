"""What one call asks of the database: the functions of the store that it calls, in their order."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import Any

from app.db.engine import Tx
from tests.processes import ROOT

_asked: ContextVar[list[str] | None] = ContextVar("asked", default=None)
"""Batches and their transactions begin in the context of their first caller; the housekeeping has its own."""
_execute = Tx.execute


async def execute(tx: Tx, statement: Any, parameters: Any = None) -> Any:
    """Execute a statement in place of `Tx.execute`, and note which function of the store was asked for it."""
    asked = _asked.get()
    if asked is not None:
        frame = sys._getframe(1)
        while frame.f_back and _is_of_store(frame.f_back):
            frame = frame.f_back
        asked.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
    return await _execute(tx, statement, parameters)


def _is_of_store(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).parent == ROOT / "app" / "store"


@contextmanager
def asking() -> Iterator[list[str]]:
    """Give the list of what the calls in the block ask for."""
    asked: list[str] = []
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)
