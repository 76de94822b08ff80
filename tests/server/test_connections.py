"""How long connections live, how many there are, and what they hold."""

import json
import time
from contextlib import ExitStack

import httpx
import pytest

from app.server.ledger import Ledger
from app.server.limits import Limits
from tests.factories import RUNS, run_body
from tests.server.conftest import Listen
from tests.server.peers import Peer, request
from tests.waiting import wait_until

LIVEZ = request("GET", "/livez")
POST = request("POST", RUNS, b"", "Content-Type: application/json", "Content-Length: 100000")
BRIEF = Limits(head_seconds=0.4, body_pause_seconds=0.4, keep_alive_seconds=0.4, drain_seconds=1)


class TestDeadlines:
    def test_connection_that_never_said_a_word_is_closed(self, listen: Listen) -> None:
        with Peer(listen(BRIEF)) as peer:
            assert peer.wait_closed() == b""

    def test_idle_connection_is_closed_without_a_word(self, listen: Listen) -> None:
        with Peer(listen(BRIEF)) as peer:
            assert peer.send(LIVEZ).answer().status == 200
            assert peer.wait_closed() == b""

    @pytest.mark.parametrize("before", [b"", LIVEZ])
    def test_head_that_is_not_complete_in_time_is_refused(self, listen: Listen, before: bytes) -> None:
        limits = Limits(head_seconds=0.4, drain_seconds=1)
        with Peer(listen(limits)) as peer:
            peer.send(before + LIVEZ[:-2])
            assert not before or peer.answer().status == 200
            assert peer.answer().is_problem(408, "request-timeout")
            assert peer.wait_closed() == b""

    def test_head_that_comes_slowly_gets_no_more_time(self, listen: Listen) -> None:
        with Peer(listen(Limits(head_seconds=0.4, drain_seconds=1))) as peer:
            began = time.monotonic()
            peer.send(b"GET / HTTP/1.1\r\n")
            while time.monotonic() - began < 60 and peer.send_until_refused(b"A: b\r\n", 6) == 6:
                time.sleep(0.1)  # as slow as the peer of this test is
                if b"HTTP/1.1 408" in peer.peek():
                    break
            assert peer.answer().is_problem(408, "request-timeout")

    @pytest.mark.parametrize("part", [b"", b"{"])
    def test_body_without_progress_is_refused(self, listen: Listen, part: bytes) -> None:
        with Peer(listen(BRIEF)) as peer:
            assert peer.send(POST + part).answer().is_problem(408, "request-timeout")
            assert peer.wait_closed() == b""

    def test_body_that_takes_too_long_in_all_is_refused(self, listen: Listen) -> None:
        with Peer(listen(Limits(body_seconds=0.4, drain_seconds=1))) as peer:
            assert peer.send(POST + b"{").answer().is_problem(408, "request-timeout")

    def test_call_that_waits_is_not_idle(self, listen: Listen) -> None:
        with Peer(listen(BRIEF)) as peer:
            run = peer.send(request("POST", RUNS, json.dumps(run_body()).encode())).answer().json()
            path = f"{RUNS}/{run['workflow_run_id']}/wait?timeout_seconds=2"
            assert peer.send(request("GET", path)).answer().json()["status"] == "pending"

    def test_reader_that_does_not_read_loses_its_connection(self, listen: Listen) -> None:
        url = listen(Limits(write_seconds=0.4, drain_seconds=1))
        with Peer(url) as peer:
            peer.send_until_refused(request("GET", "/openapi.json") * 50, 50_000)
            wait_until(lambda: _connections(url) == 1)  # the one that asks


def _connections(url: str) -> float:
    line = next(line for line in httpx.get(f"{url}/metrics").text.splitlines() if line.startswith("milepost_http_conn"))
    return float(line.split()[1])


class TestRoom:
    def test_one_connection_too_many_is_told_so_and_closed(self, listen: Listen) -> None:
        url = listen(Limits(connections=3, drain_seconds=1))
        with ExitStack() as stack:
            peers = [stack.enter_context(Peer(url)) for _ in range(3)]
            assert [peer.send(LIVEZ).answer().status for peer in peers] == [200] * 3
            for sent in (b"", LIVEZ):
                with Peer(url) as extra:
                    refused = extra.send(sent).answer()
                    assert refused.is_problem(503, "too-many-connections")
                    assert int(refused.headers["retry-after"]) >= 1
                    assert extra.wait_closed() == b""
            assert [peer.send(LIVEZ).answer().status for peer in peers] == [200] * 3
            peers[0].close()
            wait_until(lambda: httpx.get(f"{url}/livez").status_code == 200)

    def test_who_sends_longest_gives_way_when_too_much_arrives(self, listen: Listen) -> None:
        url = listen(Limits(arriving_bytes=150_000, drain_seconds=1))
        with Peer(url) as slow, Peer(url) as other, Peer(url) as small:
            slow.send(POST + b"x" * 90_000)
            other.send(POST + b"x" * 90_000)
            refused = slow.answer()
            assert refused.is_problem(503, "unavailable")
            assert small.send(request("POST", RUNS, json.dumps(run_body()).encode())).answer().status == 201
            assert other.send(b"x" * 10_000).answer().json()["code"] == "not-json"

    def test_what_waits_behind_a_request_gives_way_after_its_answer(self, listen: Listen) -> None:
        url = listen(Limits(arriving_bytes=50_000, drain_seconds=1))
        with Peer(url) as peer:
            run = peer.send(request("POST", RUNS, json.dumps(run_body()).encode())).answer().json()
            wait = request("GET", f"{RUNS}/{run['workflow_run_id']}/wait?timeout_seconds=1")
            peer.send(wait + LIVEZ * 3_000)
            assert peer.answer().json()["status"] == "pending"
            peer.wait_closed()


class Holding:
    def __init__(self, *, can: bool = True) -> None:
        self.can = can
        self.gave_way = False

    def can_give_way(self) -> bool:
        return self.can

    def give_way(self) -> None:
        self.gave_way = True


class TestLedger:
    def test_who_has_held_longest_gives_way(self) -> None:
        ledger, first, second, third = Ledger(100), Holding(), Holding(), Holding()
        for holder, size in ((first, 10), (second, 80), (first, 20), (third, 30)):
            ledger.hold(holder, size)
        assert (first.gave_way, second.gave_way, third.gave_way) == (True, True, False)
        assert ledger.total == 30

    def test_who_cannot_give_way_is_passed_over(self) -> None:
        ledger, busy, other = Ledger(100), Holding(can=False), Holding()
        ledger.hold(busy, 90)
        ledger.hold(other, 20)
        assert (busy.gave_way, other.gave_way, ledger.total) == (False, True, 90)

    def test_who_is_released_holds_nothing(self) -> None:
        ledger, holder = Ledger(100), Holding()
        ledger.hold(holder, 90)
        ledger.release(holder)
        ledger.release(holder)
        assert ledger.total == 0
