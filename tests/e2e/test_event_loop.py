"""What one caller sends, however dear, keeps nobody else waiting: somebody asks `/livez` all the time meanwhile."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.definitions import WORKFLOWS, task, workflow
from tests.domain.highway.scripts import step
from tests.e2e.processes import Service
from tests.factories import RUNS
from tests.waiting import wait_until

HELD_SECONDS = 0.5
"""The most that the event loop computes between two answers: a busy machine makes answers late, but not this."""
MEMORY_MOST = 500 * 1024 * 1024
LONG = [[number] for number in range(40_000)]
DEAR = " and ".join(["{{inputs.a}} == {{inputs.b}}"] * 100)
GRAPHS = 60
ENDS_SECONDS = 2.0
"""The most that is computed for simulations of which everybody has taken leave; each would take ten."""
TICKS = os.sysconf("SC_CLK_TCK")


def seconds_of(place: str) -> float:
    """Return how long a process or thread has computed."""
    user, system = Path(f"/proc/{place}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICKS


class Asking:
    """Asks `/livez` without a pause, and remembers how long the thread of the event loop has computed in between."""

    def __init__(self, service: Service) -> None:
        self._url = str(service.http.base_url)
        self._loop = f"{service.process.pid}/task/{service.process.pid}"
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.seconds: list[float] = []

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as client:
            before = seconds_of(self._loop)
            while not self._is_over.is_set():
                assert client.get("/livez").status_code == 200
                now = seconds_of(self._loop)
                self.seconds.append(now - before)
                before = now
                self._is_over.wait(0.01)

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        self._thread.start()
        wait_until(lambda: self.seconds)
        try:
            yield
        finally:
            self._is_over.set()
            self._thread.join()
        assert max(self.seconds) < HELD_SECONDS


@pytest.fixture
def service(url: str) -> Iterator[Service]:
    with Service(database_url=url) as service:
        yield service
        memory = int(Path(f"/proc/{service.process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
        assert memory < MEMORY_MOST


def register(service: Service, document: dict[str, Any]) -> None:
    response = service.http.post(WORKFLOWS, json=document, timeout=120)
    assert response.status_code == 201, response.text


def start(service: Service, name: str, **body: Any) -> dict[str, Any]:
    response = service.http.post(f"{WORKFLOWS}/{name}/latest/runs", json=body, timeout=120)
    assert response.status_code == 201, response.text
    run: dict[str, Any] = response.json()
    return run


def errors_of(service: Service, run: dict[str, Any]) -> dict[str, Any]:
    steps = service.http.get(f"{RUNS}/{run['workflow_run_id']}/steps").json()["items"]
    return {found["path"]: (found["error"] or {}).get("name") for found in steps}


def large(size: int = 2000) -> dict[str, Any]:
    """Return a definition of some hundred KB whose steps all hang together."""
    router = step("condition", "r", condition="a == 1", if_true="b0")
    branch = [task("b0", "r"), *(task(f"b{number}", "r", f"b{number - 1}") for number in range(1, size))]
    return workflow(router, *branch, *(task(f"c{number}", "r") for number in range(size)), name="large")


def endless() -> dict[str, Any]:
    """Return a simulation that takes about as long as one may."""
    router = step("condition", "dear", condition=DEAR, if_true="t")
    inputs = {"a": LONG, "b": LONG}
    return {"definition": workflow(router, task("t")), "inputs": inputs, "steps": [{"do": "start"}]}


def doubling() -> dict[str, Any]:
    steps = [step("emit_event", "e0", event_name="n0", payload={"x": "x" * 200_000})]
    for number in range(40):
        steps.append(step("wait_for_event", f"w{number}", f"e{number}", event_name=f"n{number}"))
        payload = dict.fromkeys("ab", "{{w" + str(number) + "}}")
        steps.append(step("emit_event", f"e{number + 1}", f"w{number}", event_name=f"n{number + 1}", payload=payload))
    return workflow(*steps, name="doubling")


class TestEventLoop:
    def test_dear_condition_fails_its_step(self, service: Service) -> None:
        register(service, workflow(step("condition", "dear", condition=DEAR, if_true="t"), task("t"), name="dear"))
        with Asking(service).meanwhile():
            run = start(service, "dear", inputs={"a": LONG, "b": LONG})
        assert errors_of(service, run)["dear"] == "BudgetExceeded"
        assert service.get(run)["status"] == "failed"

    def test_dear_condition_behind_a_timer_fails_its_step(self, service: Service) -> None:
        timed = step("wait", "w", wait_for="PT1S")
        dear = step("condition", "dear", "w", condition=DEAR, if_true="t")
        register(service, workflow(timed, dear, task("t"), name="timed"))
        with Asking(service).meanwhile():
            run = start(service, "timed", inputs={"a": LONG, "b": LONG})
            wait_until(lambda: service.get(run)["status"] == "failed", 120)
        assert errors_of(service, run)["dear"] == "BudgetExceeded"

    def test_first_start_of_a_large_definition_holds_nobody_up(self, service: Service, url: str) -> None:
        register(service, large())
        with Service(database_url=url) as fresh, Asking(fresh).meanwhile():
            run = start(fresh, "large")
            assert fresh.get(run)["status"] == "running"

    def test_long_loop_holds_nobody_up(self, service: Service) -> None:
        loop = step("foreach", "each", items="{{inputs.numbers}}", parallel=True, loop_body=[task("t")])
        register(service, workflow(loop, name="long"))
        with Asking(service).meanwhile():
            run = start(service, "long", inputs={"numbers": list(range(49_000))})
            wait_until(lambda: service.get(run, "/steps", limit=200)["next_cursor"] is not None, 120)

    def test_graphs_hold_up_neither_validation_nor_runs(self, service: Service) -> None:
        register(service, large())

        def draw(_: int) -> int:
            return httpx.get(f"{service.http.base_url}{WORKFLOWS}/large/latest/graph", timeout=300).status_code

        with ThreadPoolExecutor(GRAPHS) as pool, Asking(service).meanwhile():
            graphs = [pool.submit(draw, number) for number in range(GRAPHS)]
            assert service.http.post(f"{WORKFLOWS}/validate", json=workflow(task("t")), timeout=300).json()["valid"]
            assert service.http.get(RUNS, timeout=300).status_code == 200
            assert not all(graph.done() for graph in graphs)
            assert Counter(graph.result() for graph in graphs) == {200: GRAPHS}

    def test_abandoned_simulations_end(self, service: Service) -> None:
        def abandon(_: int) -> None:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{service.http.base_url}{WORKFLOWS}/simulate", json=endless(), timeout=2)

        simple = {"definition": workflow(task("t")), "steps": [{"do": "start"}]}
        with Asking(service).meanwhile(), ThreadPoolExecutor(2) as pool:
            list(pool.map(abandon, range(2)))
            before = seconds_of(str(service.process.pid))
            assert service.http.post(f"{WORKFLOWS}/validate", json=workflow(task("t")), timeout=120).json()["valid"]
            assert service.http.post(f"{WORKFLOWS}/simulate", json=simple, timeout=120).status_code == 200
        assert seconds_of(str(service.process.pid)) - before < ENDS_SECONDS

    def test_simulation_that_grows_without_end_is_refused(self, service: Service) -> None:
        body = {"definition": doubling(), "steps": [{"do": "start"}]}
        with Asking(service).meanwhile():
            response = service.http.post(f"{WORKFLOWS}/simulate", json=body, timeout=120)
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"] == "/steps/0"


class TestLargeAnswers:
    def test_tasks_of_many_small_values_are_listed_and_claimed_as_text(self, service: Service) -> None:
        """A megabyte of empty lists is cheap as a text, and a hundred times as large as values."""
        params: list[list[int]] = [[]] * 345_000
        for _ in range(20):
            assert service.http.post("/v1/tasks", json={"task_name": "t", "params": params}, timeout=120).is_success
        asking = Asking(service)
        with asking.meanwhile():
            page = service.http.get("/v1/tasks", params={"limit": 100}, timeout=120)
            claim = {"worker_id": "w", "limit": 1000}
            claimed = service.http.post("/v1/queues/default/claim", json=claim, timeout=120)
        assert page.status_code == claimed.status_code == 200
        assert len(page.json()["items"]) == len(claimed.json()["tasks"]) - 1 == 16
        assert all(task["params"] == params for task in claimed.json()["tasks"])
