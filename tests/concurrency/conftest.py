"""Two replicas for the tests of a module, and a queue for each test."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from tests.concurrency.crowd import Crowd, crowding

_numbers = count(1)


@pytest.fixture(scope="module")
async def replicas(new_database: Any) -> AsyncIterator[Crowd]:
    async with crowding(new_database()) as crowd:
        yield crowd


@pytest.fixture
def crowd(replicas: Crowd) -> Any:
    """Return the two replicas; what must hold in their database is checked after the test."""
    yield replicas
    replicas.check()


@pytest.fixture
def queue() -> str:
    return f"queue_{next(_numbers)}"
