"""One service for all examples, and the commands that they are run by."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import Service
from tests.examples.programs import Programs
from tests.processes import ROOT, SCRIPTS, environment


@pytest.fixture(scope="module")
def service(new_database: Callable[[], str]) -> Iterator[Service]:
    """Give a service that all examples share: each has workflows and queues of its own."""
    with Service(database_url=new_database()) as service:
        yield service


@pytest.fixture
def programs(service: Service, tmp_path: Path) -> Iterator[Programs]:
    """Give what runs the commands of examples; what they left running is killed."""
    env = environment({"url": str(service.http.base_url).rstrip("/")})
    env |= {"PYTHONPATH": str(ROOT), "PATH": os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])}
    with Programs(service, env | {"PYTHONDONTWRITEBYTECODE": "1"}, tmp_path) as programs:
        yield programs
