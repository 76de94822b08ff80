"""What the tests of the client share: one service on a port, and a queue of its own for each test."""

from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from milepost.client import AsyncClient, Client
from tests.client.server import listening


@pytest.fixture(scope="module")
def service_url(database_url: str) -> Iterator[str]:
    """Give the address of a running service."""
    with listening(database_url) as url:
        yield url


@pytest.fixture
def client(service_url: str) -> Iterator[Client]:
    """Give a client of the running service."""
    with Client(service_url) as client:
        yield client


@pytest.fixture
async def async_client(service_url: str) -> AsyncIterator[AsyncClient]:
    """Give an async client of the running service."""
    async with AsyncClient(service_url) as client:
        yield client


@pytest.fixture
def queue() -> str:
    """Return the name of a queue that no other test uses."""
    return f"queue_{uuid4().hex}"
