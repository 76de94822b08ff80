"""The system user that a server runs as: Postgres refuses to run as root."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.db.embedded.errors import EmbeddedPostgresError

_NAMES_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """The owner of a cluster's files."""

    uid: int
    gid: int

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program as this user, in a session of its own (no Ctrl-C reaches it), and return how it ended."""
        is_root = os.geteuid() == 0
        return subprocess.run(  # noqa: S603
            command,
            cwd="/",
            env={name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"},
            user=self.uid if is_root else None,
            group=self.gid if is_root else None,
            extra_groups=[] if is_root else None,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def can_run(self, program: Path) -> bool:
        """Whether this user reaches ``program`` and it starts."""
        try:
            return self.run(program, "--version").returncode == 0
        except OSError:
            return False

    def make_home(self, home: Path) -> None:
        """Make the cluster's directory, this user's alone. Directories that were there stay as they are."""
        missing = [directory for directory in (home, *home.parents) if not directory.exists()]
        for directory in reversed(missing):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o700 if directory == home or os.geteuid() != 0 else 0o755)
        if os.geteuid() == 0:
            for directory in {home, home.parent} & {home, *missing}:
                os.chown(directory, self.uid, self.gid)
            self._check_reach(home)

    def _check_reach(self, home: Path) -> None:
        if self.run("test", "-x", home).returncode == 0:
            return
        for directory in (*reversed(home.parents), home):
            if self.run("test", "-x", directory).returncode != 0:
                raise EmbeddedPostgresError(
                    f"the database user {self.name} cannot enter {directory}, so it cannot keep its data in {home}: "
                    f"open that directory to it (chmod o+x), or set MILEPOST_DATA_DIR to another one"
                )

    @property
    def name(self) -> str:
        """Return the user's name, or its number if it has none."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def account_for(home: Path) -> Account:
    """Return the user that serves ``home``: ourselves, or for root the owner of its files, or one of the usual."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if home.exists() and (owner := home.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in _NAMES_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        f"Postgres does not run as root, and this machine has no user {' or '.join(_NAMES_FOR_ROOT)}: "
        f"run as another user, add one, or set MILEPOST_DATABASE_URL"
    )
