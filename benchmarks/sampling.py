"""Where a process spends its CPU time: its Python stacks, sampled by the processor clock."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

SAMPLES_FILE = "BENCHMARK_SAMPLES_FILE"
"""Names the environment variable with the file that samples are written to."""
EVERY_SECONDS = 0.001
"""Of CPU time; the kernel rounds it up to its own tick, mostly 4 ms."""

Stack = tuple[str, ...]
"""Frames as `file:function`, innermost first."""


@contextmanager
def sampling(file: Path) -> Iterator[None]:
    """Sample the main thread during the block and write how often each stack was seen to ``file``.

    The handler runs between two bytecodes, so what a C function takes is told of the Python function that called it.
    """
    seen: Counter[Stack] = Counter()

    def take(_number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        seen[tuple(stack)] += 1

    signal.signal(signal.SIGPROF, take)
    signal.setitimer(signal.ITIMER_PROF, EVERY_SECONDS, EVERY_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        file.write_text(json.dumps(list(seen.items())))


def read_samples(file: Path) -> Counter[Stack]:
    """Return what ``sampling`` wrote."""
    return Counter({tuple(stack): count for stack, count in json.loads(file.read_text())})
