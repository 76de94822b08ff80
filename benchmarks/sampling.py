"""Where a process spends its CPU time: its Python stacks, sampled by the processor clock."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TypeVar

EVERY_SECONDS = 0.001
"""Of CPU time; the kernel rounds it up to its own tick, mostly 4 ms."""
_WRITE_SECONDS = 30.0

Result = TypeVar("Result")
Stack = tuple[str, ...]
"""Frames as `file:function`, innermost first."""


class Sampler:
    """Samples the main thread between SIGUSR1 and SIGUSR2, and then writes how often each stack was seen.

    The handler runs between two bytecodes, so what a C function takes is told of the Python function that called it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: Counter[Stack] = Counter()
        signal.signal(signal.SIGUSR1, self._begin)
        signal.signal(signal.SIGUSR2, self._end)
        signal.signal(signal.SIGPROF, self._take)

    def _begin(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)

    def _take(self, _number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        self._seen[tuple(stack)] += 1

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        written = self._file.with_suffix(".part")
        written.write_text(json.dumps(list(self._seen.items())))
        written.rename(self._file)


def sample(pid: int, file: Path, load: Callable[[], Result]) -> tuple[Result, Counter[Stack]]:
    """Return what ``load`` returns, and the samples of a process that has a `Sampler` with this file meanwhile."""
    os.kill(pid, signal.SIGUSR1)
    result = load()
    os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + _WRITE_SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the process has written no samples")
        time.sleep(0.05)
    return result, Counter({tuple(stack): count for stack, count in json.loads(file.read_text())})
