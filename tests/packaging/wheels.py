"""Wheels of both distributions, and environments that hold nothing but them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT, SCRIPTS, environment
from tests.waiting import PATIENCE_SECONDS

PROJECTS: Mapping[str, Path] = {"milepost": ROOT / "milepost", "milepost-server": ROOT}
"""Where each distribution is built."""
UV = shutil.which("uv", path=os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])) or "uv"


def build_wheel(project: Path, directory: Path) -> Path:
    """Return a wheel of a project in this checkout."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    (wheel,) = directory.glob("*.whl")
    return wheel


@dataclass
class Installed:
    """An environment in which wheels were installed, and what they need."""

    home: Path

    @property
    def bin(self) -> Path:
        """Where its programs are."""
        return self.home / "bin"

    @property
    def site(self) -> Path:
        """Where its packages are."""
        (site,) = self.home.glob("lib/python3*/site-packages")
        return site

    def size(self) -> int:
        """Return how many bytes its packages have."""
        return sum(path.stat().st_size for path in self.site.rglob("*") if path.is_file())

    def run(self, *command: str, cwd: Path | None = None, **settings: object) -> subprocess.CompletedProcess[str]:
        """Return how a program of it ended, away from the checkout."""
        program, *arguments = command
        return subprocess.run(
            [self.bin / program, *arguments],
            cwd=cwd or self.home,
            env=clean_environment(**settings),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


def clean_environment(**settings: object) -> dict[str, str]:
    """Return an environment that leads to no modules of this checkout."""
    return {name: value for name, value in environment(settings).items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def install(home: Path, *wheels: Path) -> Installed:
    """Install wheels into an environment of their own, with what they need in the versions of the lock."""
    python = str(home / "bin" / "python")
    locked = ["--quiet", "--compile-bytecode", "--constraints", str(ROOT / "requirements.lock")]
    for command in (
        [UV, "venv", "--quiet", "--python", sys.executable, str(home)],
        [UV, "pip", "install", "--python", python, *locked, *map(str, wheels)],
    ):
        subprocess.run(command, cwd=home.parent, env=clean_environment(), check=True, capture_output=True, text=True)
    return Installed(home)
