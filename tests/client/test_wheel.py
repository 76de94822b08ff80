"""The wheel carries the client under the import name `milepost`."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE = """
import sys
import milepost
from milepost import AbsurdClient, AsyncClient, Client, MoveNotAllowed, Worker, spawn_retry_task
from milepost.schemas.workflow_runs import WorkflowRun
assert milepost.__file__.startswith(sys.argv[1]), milepost.__file__
assert Client.__module__ == "milepost.client.client"
worker = Worker(Client("http://127.0.0.1:1"), queue="default")
worker.task("add")(lambda ctx, params: params)
heavy = {"app", "fastapi", "starlette", "sqlalchemy", "psycopg"} & set(sys.modules)
assert not heavy, heavy
print(sorted(milepost.__all__))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel of this checkout."""
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target), cwd=ROOT)
    (built,) = target.glob("*.whl")
    return built


class TestWheel:
    def test_client_is_installed_and_imported_as_milepost(self, wheel: Path, tmp_path: Path) -> None:
        site = tmp_path / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        code = f"import sys; sys.path.insert(0, {str(site)!r})\n" + USE
        names = run(sys.executable, "-W", "error", "-c", code, site, cwd=tmp_path)
        assert "AbsurdClient" in names

    def test_types_are_published(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            assert "milepost/py.typed" in archive.namelist()

    def test_service_is_in_it_as_well(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        assert {"app/main.py", "milepost/client/client.py", "milepost/__init__.py"} <= {*names}
        assert len(names) == len(set(names))

    def test_checkout_can_be_imported_as_milepost_too(self, tmp_path: Path) -> None:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + USE
        run(sys.executable, "-W", "error", "-c", code, str(ROOT), cwd=tmp_path)
