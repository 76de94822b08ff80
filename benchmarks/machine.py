"""What the numbers were measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.postgres import connect, running_postgres

_PACKAGES = ("fastapi", "starlette", "pydantic", "sqlalchemy", "psycopg", "uvicorn", "uvloop")


def describe_machine() -> str:
    """Return a list of the machine and of the versions of all that takes part."""
    with running_postgres() as url, connect(url) as server:
        postgres: str = server.execute("SHOW server_version").fetchone()[0]  # type: ignore[index]  # always one row
    facts = [
        ("processor", f"{_processor()}, {os.cpu_count()} cores, shared by client, service and Postgres"),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"),
        ("python", platform.python_version()),
        ("postgres", f"{postgres}, durable (fsync and synchronous_commit on)"),
        *((name, version(name)) for name in _PACKAGES),
    ]
    return "\n".join(f"- {name}: {fact}" for name, fact in facts)


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
