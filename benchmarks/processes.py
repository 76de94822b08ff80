"""How much CPU time processes have used. Source: proc(5); Linux only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_TICK = 1 / os.sysconf("SC_CLK_TCK")


class _Process(NamedTuple):
    pid: int
    parent: int
    seconds: float
    """Of its own, and of those of its children that have ended."""


def cpu_seconds_of(pid: int) -> float:
    """Return the CPU time of a process and of all below it, those that have ended too."""
    processes = list(_list_processes())
    family = {pid}
    while found := {process.pid for process in processes if process.parent in family} - family:
        family |= found
    return sum(process.seconds for process in processes if process.pid in family)


def parent_of(pid: int) -> int:
    """Return the process that started another."""
    return _read_process(Path(f"/proc/{pid}")).parent


def _list_processes() -> Iterator[_Process]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                process = _read_process(directory)
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            yield process


def _read_process(directory: Path) -> _Process:
    fields = (directory / "stat").read_text().rpartition(")")[2].split()
    return _Process(int(directory.name), int(fields[1]), sum(map(int, fields[11:15])) * _TICK)
