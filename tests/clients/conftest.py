"""What the tests of generated clients share: a service that runs, and the committed document."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.service import ROOT, running_service


@pytest.fixture(scope="module")
def service(new_database: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a service that runs in its own process."""
    with running_service(new_database(), tmp_path_factory.mktemp("service") / "log") as url:
        yield url


@pytest.fixture(scope="session")
def document() -> Path:
    """Return where the committed OpenAPI document is."""
    return ROOT / "docs" / "openapi.json"
