"""A service in a thread, as `milepost serve` would run it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from app.server.limits import Limits
from tests.client.server import listening_with
from tests.conftest import make_settings

Listen = Callable[[Limits], str]


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """Give the address of a service with the limits that all have."""
    with listening_with(make_settings(database_url)) as url:
        yield url


@pytest.fixture
def listen(database_url: str) -> Iterator[Listen]:
    """Give a function that starts a service with other limits."""
    with ExitStack() as stack:
        yield lambda limits: stack.enter_context(listening_with(make_settings(database_url), limits=limits))
