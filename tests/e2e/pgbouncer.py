"""A PgBouncer in front of a database, pooling by transaction."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import make_url

from app.db.engine import read_url
from tests.e2e.processes import free_port
from tests.waiting import wait_until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
CONFIGURATION = """
[databases]
{name} = host={host} port={port} dbname={name} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 100
ignore_startup_parameters = extra_float_digits
logfile = {home}/pgbouncer.log
pidfile =
{more}
"""


def version() -> tuple[int, int]:
    """Return the version of the program that was found."""
    assert PROGRAM
    answer = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+)\.(\d+)", answer)
    assert found
    return int(found[1]), int(found[2])


def carries_prepared() -> bool:
    """Whether it can carry prepared statements."""
    return version() >= (1, 21)


@contextmanager
def pooling(url: str, home: Path) -> Iterator[str]:
    """Give the address of a pool of connections to ``url``."""
    assert PROGRAM
    plain = read_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    target = conninfo_to_dict(plain)
    port = free_port()
    file = home / "pgbouncer.ini"
    more = "max_prepared_statements = 200" if carries_prepared() else ""
    file.write_text(
        CONFIGURATION.format(
            name=target["dbname"],
            host=target["host"],
            port=target["port"],
            user=target["user"],
            listen_port=port,
            home=home,
            more=more,
        )
    )
    owner = home.stat().st_uid
    user = None
    if os.geteuid() == 0:
        owner = next(data.stat().st_uid for data in [Path(str(target["host"]))]) if target["host"] else owner
        user = owner
        os.chown(home, owner, pwd.getpwuid(owner).pw_gid)
        file.chmod(0o644)
    process = subprocess.Popen(
        [PROGRAM, str(file)], user=user, extra_groups=[] if user else None, stdout=subprocess.DEVNULL, stderr=-1
    )
    pool = make_url(f"postgresql://{target['user']}@127.0.0.1:{port}/{target['dbname']}")
    address = pool.render_as_string(hide_password=False)

    def answers() -> bool:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            with psycopg.connect(address, prepare_threshold=None) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    try:
        wait_until(answers)
        yield address
    finally:
        process.kill()
        process.communicate()
