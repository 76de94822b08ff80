"""A database of its own for each test, on the server of the run or on one that may be killed."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a directory that the database's user reaches."""
    directory = Path(tempfile.mkdtemp(prefix="milepost-e2e-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def url(new_database: Any) -> str:
    made: str = new_database()
    return made
