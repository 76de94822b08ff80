"""A service as a process under attack by its connections, and its stop."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import Service
from tests.factories import RUNS
from tests.server.peers import Peer, request
from tests.waiting import wait_until

MIB = 1 << 20
PEERS = 60
LIVEZ = request("GET", "/livez")
JSON = "Content-Type: application/json"
RSS_MOST = 500 * MIB

ATTACKS = {
    "pipelines": (b"", LIVEZ * 2_000),
    "header without end": (b"GET / HTTP/1.1\r\nA: ", b"a" * MIB),
    "lines without end": (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 100_000),
    "line without end": (b"GET /", b"a" * MIB),
    "extension without end": (request("POST", RUNS, b"", JSON, "Transfer-Encoding: chunked") + b"1;", b"a" * MIB),
    "trailer without end": (request("POST", RUNS, b"", JSON, "Transfer-Encoding: chunked") + b"0\r\nA: ", b"a" * MIB),
    "body without end": (request("POST", RUNS, b"", JSON, "Transfer-Encoding: chunked"), b"fffff\r\n" + b"[" * 0xFFFFF),
    "body that is too large": (request("POST", RUNS, b"", JSON, f"Content-Length: {1 << 40}"), b"a" * MIB),
    "body that stops": (request("POST", RUNS, b"", JSON, f"Content-Length: {MIB}"), b"a" * (MIB - 1)),
    "readers that do not read": (b"", request("GET", "/openapi.json") * 2_000),
    "no HTTP": (b"\x16\x03\x01", b"\x00" * MIB),
}
ATTACK_BYTES = 90 * MIB
"""Of each attack, from all its peers together: about a GiB in all, if it were taken."""


def attack(url: str, opening: bytes, part: bytes, stack: ExitStack) -> int:
    """Send an attack on many connections that all stay open, and return how many bytes were taken."""
    sent = 0
    for _ in range(PEERS):
        peer = stack.enter_context(Peer(url)).hurry()
        sent += peer.send_until_refused(opening, len(opening))
        sent += peer.send_until_refused(part, ATTACK_BYTES // PEERS)
    return sent


def rss_of(pid: int) -> int:
    """Return the most memory that the process had, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class TestAttacks:
    def test_memory_stays_bounded_and_others_are_served(self, url: str) -> None:
        with Service(database_url=url) as service, ExitStack() as stack:
            base = str(service.http.base_url)
            for opening, part in ATTACKS.values():
                attack(base, opening, part, stack)
                assert service.http.get("/livez").status_code == 200
            service.create()
            assert rss_of(service.process.pid) < RSS_MOST
            assert "Traceback" not in service.log()

    def test_refusals_are_few_lines_in_the_log(self, url: str) -> None:
        with Service(database_url=url) as service:
            for _ in range(200):
                with Peer(str(service.http.base_url)) as peer:
                    assert peer.send(b"hello\r\n").answer().is_problem(400, "malformed-request")
            lines = service.log().splitlines()
            assert 1 <= sum("malformed-request" in line for line in lines) <= 10
            assert "Traceback" not in service.log()
            refused = 'milepost_http_connections_refused_total{code="malformed-request"} 200.0'
            assert refused in service.http.get("/metrics").text


class TestDescriptors:
    def test_idle_connections_do_not_use_up_the_descriptors(self, url: str) -> None:
        with Service(database_url=url).with_descriptors(300) as service, ExitStack() as stack:
            base = str(service.http.base_url)
            peers = [stack.enter_context(Peer(base)) for _ in range(400)]
            refused = peers[-1].answer()
            assert refused.is_problem(503, "too-many-connections")
            assert service.create()["status"] == "pending"
            assert service.http.get("/readyz").status_code == 200
            assert service.log().count("too-many-connections") <= 2
            for peer in peers:
                peer.close()
            with httpx.Client(base_url=base) as newcomer:
                wait_until(lambda: newcomer.get("/livez").status_code == 200)


def ask_until_gone(url: str, answered: list[int], failed: list[Exception]) -> None:
    """Ask again and again as a client that honours `Connection: close`, until nobody listens any more."""
    with httpx.Client(base_url=url, timeout=60) as http:
        while True:
            try:
                answered.append(http.get("/livez").status_code)
            except httpx.ConnectError:
                return
            except httpx.TransportError as error:
                failed.append(error)


class TestStop:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_no_request_under_load_fails(self, url: str, workers: int) -> None:
        answered: list[int] = []
        failed: list[Exception] = []
        with Service(database_url=url, drain_seconds=12, workers=workers) as service, ThreadPoolExecutor(4) as pool:
            for _ in range(4):
                pool.submit(ask_until_gone, str(service.http.base_url), answered, failed)
            wait_until(lambda: len(answered) > 100)
            assert service.stop() == 0, service.log()
        assert set(answered) == {200}
        assert not failed

    def test_first_it_sends_everybody_away_and_serves_on(self, url: str) -> None:
        with Service(database_url=url, drain_seconds=120) as service:
            assert "connection" not in service.http.get("/readyz").headers
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: service.http.get("/readyz").status_code == 503)
            assert service.http.get("/readyz").headers["connection"] == "close"
            with httpx.Client(base_url=service.http.base_url) as newcomer:
                assert newcomer.get("/livez").headers["connection"] == "close"
            assert service.create()["status"] == "pending"
            service.process.send_signal(signal.SIGTERM)
            assert service.process.wait(60) == 0, service.log()
            assert "Traceback" not in service.log()

    def test_it_ends_at_once_without_time_to_drain(self, url: str) -> None:
        with Service(database_url=url, drain_seconds=0) as service:
            run = service.create()
            assert service.stop() == 0, service.log()
            assert run["status"] == "pending"
            assert "Traceback" not in service.log()
