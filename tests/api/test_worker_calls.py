"""What the holder of a lease says about its task: heartbeat, complete, fail, sleep, release."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.db.engine import Database
from tests.api.json_texts import KEPT
from tests.factories import (
    TASKS,
    UNKNOWN_ID,
    attempts_of,
    claim_task,
    claim_tasks,
    code,
    expire_lease,
    get_task,
    pass_time,
    pointers,
    put_checkpoint,
    report,
    reported,
    start_task,
    task_address,
)

BROKEN = {"name": "Broken", "message": "it broke"}
AWAIT = {"step_name": "s", "event_name": "paid"}
CALLS: dict[str, dict[str, Any]] = {
    "heartbeat": {},
    "complete": {"result": 1},
    "fail": {"error": BROKEN},
    "sleep": {"seconds": 60},
    "await-event": AWAIT,
    "release": {},
    "put_checkpoint": {"state": 1},
}
FINAL_CALLS = {call: CALLS[call] for call in ("complete", "fail", "sleep", "release", "await-event")}
OTHER_BODIES: dict[str, dict[str, Any]] = {
    "complete": {"result": 2},
    "fail": {"error": {"name": "Other", "message": ""}},
    "sleep": {"seconds": 61},
    "await-event": {**AWAIT, "timeout_seconds": 5},
}


async def call_worker(client: httpx.AsyncClient, held: dict[str, Any], call: str, **body: Any) -> httpx.Response:
    """Return the answer to any worker call."""
    if call == "put_checkpoint":
        return await put_checkpoint(client, held, "step", **body)
    return await report(client, held, call, **body)


async def lose_lease(database: Database, held: dict[str, Any]) -> None:
    """Let the lease of a task expire; the housekeeping finds it at any time from now on."""
    async with database.transaction() as tx:
        await expire_lease(tx, held)


def is_told(response: httpx.Response, expected: str) -> bool:
    """Return whether a worker is told ``expected``, with the task as it stands."""
    assert response.status_code == 409, response.text
    problem = response.json()
    assert set(problem["current"]) >= {"task_id", "status", "revision"}
    assert all(isinstance(word, str) for word in problem["allowed"])
    return code(response) == expected


class TestWithoutTheLease:
    @pytest.mark.parametrize("call", CALLS)
    async def test_unknown_task_is_not_found(self, client: httpx.AsyncClient, call: str) -> None:
        held = {"task_id": str(UNKNOWN_ID), "lease_token": str(uuid4())}
        response = await call_worker(client, held, call, **CALLS[call])
        assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("token", ["x", str(UNKNOWN_ID), "0" * 32, "ü" * 100])
    async def test_wrong_token_is_lease_lost(self, client: httpx.AsyncClient, call: str, token: str) -> None:
        held = await start_task(client)
        before = await get_task(client, held)
        assert is_told(await call_worker(client, {**held, "lease_token": token}, call, **CALLS[call]), "lease-lost")
        assert await get_task(client, held) == before

    @pytest.mark.parametrize("call", CALLS)
    async def test_token_of_another_task_is_lease_lost(self, client: httpx.AsyncClient, call: str) -> None:
        other = await start_task(client)
        held = await start_task(client)
        stolen = {**held, "lease_token": other["lease_token"]}
        assert is_told(await call_worker(client, stolen, call, **CALLS[call]), "lease-lost")
        assert {(await get_task(client, task))["status"] for task in (held, other)} == {"running"}

    @pytest.mark.parametrize("call", CALLS)
    async def test_token_of_another_failed_task_is_lease_lost(self, client: httpx.AsyncClient, call: str) -> None:
        other = await start_task(client)
        await reported(client, other, "fail", error=BROKEN)
        held = await start_task(client)
        stolen = {**held, "lease_token": other["lease_token"]}
        assert is_told(await call_worker(client, stolen, call, **CALLS[call]), "lease-lost")

    @pytest.mark.parametrize("call", CALLS)
    async def test_task_that_was_never_claimed_is_lease_lost(self, client: httpx.AsyncClient, call: str) -> None:
        spawned = (await client.post(TASKS, json={"task_name": "a"})).json()
        held = {**spawned, "lease_token": str(uuid4())}
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "lease-lost")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("max_attempts", [1, 2])
    async def test_expired_token_is_lease_lost(
        self, client: httpx.AsyncClient, database: Database, call: str, max_attempts: int
    ) -> None:
        held = await start_task(client, max_attempts=max_attempts)
        await lose_lease(database, held)
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "lease-lost")

    @pytest.mark.parametrize("call", CALLS)
    async def test_token_of_a_swept_lease_is_lease_lost(
        self, client: httpx.AsyncClient, database: Database, call: str
    ) -> None:
        held = await start_task(client, max_lost=0)
        await lose_lease(database, held)
        ended = (await client.get(task_address(held, "wait"), params={"timeout_seconds": 3})).json()
        assert ended["status"] == "failed"
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "lease-lost")

    @pytest.mark.parametrize("call", CALLS)
    async def test_successor_is_not_touched(self, client: httpx.AsyncClient, database: Database, call: str) -> None:
        held = await start_task(client, max_attempts=2)
        await lose_lease(database, held)
        successor = await claim_task(client, wait_seconds=60)
        before = await get_task(client, held)
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "lease-lost")
        assert await get_task(client, held) == before
        assert (await report(client, successor, "complete")).status_code == 200

    @pytest.mark.parametrize("call", CALLS)
    async def test_cancelled_task_is_told(self, client: httpx.AsyncClient, call: str) -> None:
        held = await start_task(client)
        await client.post(task_address(held, "cancel"))
        response = await call_worker(client, held, call, **CALLS[call])
        assert is_told(response, "task-cancelled")
        assert response.json()["current"]["status"] == "cancelled"
        assert response.json()["allowed"] == ["retry"]

    @pytest.mark.parametrize("max_attempts", [1, 2])
    @pytest.mark.parametrize("call", [call for call in CALLS if call != "fail"])
    async def test_token_whose_own_fail_ended_the_attempt_is_attempt_failed(
        self, client: httpx.AsyncClient, call: str, max_attempts: int
    ) -> None:
        held = await start_task(client, max_attempts=max_attempts)
        await reported(client, held, "fail", error=BROKEN)
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "attempt-failed")

    async def test_failed_attempt_is_told_while_the_next_one_runs(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        await reported(client, held, "fail", error=BROKEN)
        await claim_task(client)
        assert is_told(await report(client, held, "heartbeat"), "attempt-failed")

    @pytest.mark.parametrize("given_up_by", ["release", "sleep", "await-event", "complete"])
    @pytest.mark.parametrize("call", ["heartbeat", "fail", "put_checkpoint"])
    async def test_lease_that_was_given_up_is_lost(
        self, client: httpx.AsyncClient, call: str, given_up_by: str
    ) -> None:
        held = await start_task(client)
        await reported(client, held, given_up_by, **FINAL_CALLS[given_up_by])
        assert is_told(await call_worker(client, held, call, **CALLS[call]), "lease-lost")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("token", [None, "", 7, "x" * 101])
    async def test_token_is_required(self, client: httpx.AsyncClient, call: str, token: Any) -> None:
        held = {"task_id": str(UNKNOWN_ID), "lease_token": token}
        assert pointers(await call_worker(client, held, call, **CALLS[call])) == ["/lease_token"]

    @pytest.mark.parametrize("call", CALLS)
    async def test_unknown_member_is_refused(self, client: httpx.AsyncClient, call: str) -> None:
        held = await start_task(client)
        assert pointers(await call_worker(client, held, call, **CALLS[call], extra=1)) == ["/extra"]

    async def test_token_may_be_in_capitals(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, {**held, "lease_token": held["lease_token"].upper()}, "complete")


class TestRepeats:
    @pytest.mark.parametrize("call", FINAL_CALLS)
    @pytest.mark.parametrize("max_attempts", [1, 2])
    async def test_same_call_is_answered_the_same_and_writes_nothing(
        self, client: httpx.AsyncClient, call: str, max_attempts: int
    ) -> None:
        held = await start_task(client, max_attempts=max_attempts)
        first = await report(client, held, call, **FINAL_CALLS[call])
        task, attempts = await get_task(client, held), await attempts_of(client, held)
        again = await report(client, held, call, **FINAL_CALLS[call])
        assert (first.status_code, again.status_code) == (200, 200)
        assert again.json() == first.json()
        assert again.headers.get("etag") == first.headers.get("etag")
        assert (await get_task(client, held), await attempts_of(client, held)) == (task, attempts)

    @pytest.mark.parametrize("call", FINAL_CALLS)
    async def test_same_calls_at_once_are_answered_the_same(self, client: httpx.AsyncClient, call: str) -> None:
        held = await start_task(client, max_attempts=2)
        answers = await asyncio.gather(*(report(client, held, call, **FINAL_CALLS[call]) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert len({answer.text for answer in answers}) == 1
        assert (await get_task(client, held))["revision"] == 3

    @pytest.mark.parametrize("call", OTHER_BODIES)
    async def test_same_call_with_another_body_is_refused(self, client: httpx.AsyncClient, call: str) -> None:
        held = await start_task(client, max_attempts=2)
        await reported(client, held, call, **FINAL_CALLS[call])
        expected = "attempt-failed" if call == "fail" else "lease-lost"
        assert is_told(await report(client, held, call, **OTHER_BODIES[call]), expected)

    @pytest.mark.parametrize(("call", "next_call"), [("fail", "complete"), ("release", "sleep"), ("release", "fail")])
    async def test_same_call_is_answered_the_same_after_the_task_went_on(
        self, client: httpx.AsyncClient, call: str, next_call: str
    ) -> None:
        held = await start_task(client, max_attempts=2)
        first = await reported(client, held, call, **FINAL_CALLS[call])
        successor = await claim_task(client)
        assert await reported(client, held, call, **FINAL_CALLS[call]) == first
        await reported(client, successor, next_call, **FINAL_CALLS[next_call])
        assert await reported(client, held, call, **FINAL_CALLS[call]) == first

    @pytest.mark.parametrize("call", ["sleep", "fail"])
    async def test_same_call_is_answered_the_same_after_a_cancel(self, client: httpx.AsyncClient, call: str) -> None:
        held = await start_task(client, max_attempts=2)
        first = await reported(client, held, call, **FINAL_CALLS[call])
        await client.post(task_address(held, "cancel"))
        assert await reported(client, held, call, **FINAL_CALLS[call]) == first

    async def test_same_body_means_equal_json(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "complete", result={"a": 1, "b": 2.0})
        await reported(client, held, "complete", result={"b": 2, "a": 1})

    async def test_stale_calls_at_the_same_time_do_not_harm_the_holder(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        stale = await start_task(client, max_attempts=2)
        await lose_lease(database, stale)
        held = await claim_task(client, wait_seconds=60)
        answers = await asyncio.gather(*(report(client, task, "complete", result=1) for task in (stale, held, stale)))
        assert [answer.status_code for answer in answers] == [409, 200, 409]


class TestLateReports:
    @pytest.mark.parametrize("call", ["complete", "fail", "put_checkpoint", "sleep"])
    async def test_what_a_stale_worker_reports_is_kept_as_evidence(
        self, client: httpx.AsyncClient, database: Database, call: str
    ) -> None:
        held = await start_task(client, max_attempts=2)
        await lose_lease(database, held)
        await claim_task(client, wait_seconds=60)
        await call_worker(client, held, call, **CALLS[call])
        first, second = await attempts_of(client, held)
        (late,) = first["late_reports"]
        assert second["late_reports"] == []
        assert held["lease_token"].endswith(late["lease_token_suffix"])
        assert len(late["lease_token_suffix"]) < 12
        assert (late["call"], late["body"]) == (call, CALLS[call])
        assert datetime.fromisoformat(late["at"]).utcoffset() == timedelta(0)

    async def test_result_of_a_cancelled_task_is_kept_as_evidence(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await client.post(task_address(held, "cancel"))
        await report(client, held, "complete", result={"sent": 1})
        (attempt,) = await attempts_of(client, held)
        assert [late["body"] for late in attempt["late_reports"]] == [{"result": {"sent": 1}}]
        assert (await get_task(client, held))["result"] is None

    async def test_evidence_survives_a_retry(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await client.post(task_address(held, "cancel"))
        await client.post(task_address(held, "retry"))
        await report(client, held, "complete", result=1)
        first, second = await attempts_of(client, held)
        assert (len(first["late_reports"]), len(second["late_reports"])) == (1, 0)

    async def test_token_that_was_never_one_leaves_no_evidence(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await report(client, {**held, "lease_token": str(uuid4())}, "complete", result=1)
        (attempt,) = await attempts_of(client, held)
        assert attempt["late_reports"] == []

    async def test_repeated_report_is_no_late_one(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for _ in range(2):
            await reported(client, held, "complete", result=1)
        (attempt,) = await attempts_of(client, held)
        assert attempt["late_reports"] == []

    async def test_reports_of_one_attempt_stand_in_order(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "complete", result=0)
        for result in (1, 2):
            await report(client, held, "complete", result=result)
        (attempt,) = await attempts_of(client, held)
        assert [late["body"]["result"] for late in attempt["late_reports"]] == [1, 2]


class TestHeartbeat:
    async def test_lease_ends_so_many_seconds_from_now(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        beat = await reported(client, held, "heartbeat", lease_seconds=100)
        assert set(beat) == {"lease_expires_at", "cancel_requested", "server_time"}
        left = datetime.fromisoformat(beat["lease_expires_at"]) - datetime.fromisoformat(beat["server_time"])
        assert left == timedelta(seconds=100)
        assert beat["cancel_requested"] is False
        assert (await get_task(client, held))["lease_expires_at"] == beat["lease_expires_at"]

    async def test_lease_may_be_shortened(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        assert (await reported(client, held, "heartbeat", lease_seconds=1))["lease_expires_at"] < held[
            "lease_expires_at"
        ]

    async def test_queue_default_is_taken_when_absent(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await client.patch("/v1/queues/default", json={"default_lease_seconds": 500})
        beat = await reported(client, held, "heartbeat")
        left = datetime.fromisoformat(beat["lease_expires_at"]) - datetime.fromisoformat(beat["server_time"])
        assert left == timedelta(seconds=500)

    @pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
    async def test_progress_comes_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        held = await start_task(client)
        await reported(client, held, "heartbeat", progress=value)
        assert repr((await get_task(client, held))["progress"]) == repr(value)

    async def test_absent_progress_stays_as_it_is(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await reported(client, held, "heartbeat", progress={"done": 1})
        await reported(client, held, "heartbeat")
        assert (await get_task(client, held))["progress"] == {"done": 1}
        await reported(client, held, "heartbeat", progress=None)
        assert (await get_task(client, held))["progress"] is None

    async def test_heartbeats_at_once_lose_no_progress(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        bodies: list[dict[str, Any]] = [{}, {"progress": 1}, {}, {}]
        await asyncio.gather(*(reported(client, held, "heartbeat", **body) for body in bodies))
        assert (await get_task(client, held))["progress"] == 1

    @pytest.mark.parametrize("seconds", [0, 0.9, 86_401, "30"])
    async def test_length_out_of_range_is_refused(self, client: httpx.AsyncClient, seconds: Any) -> None:
        held = await start_task(client)
        assert pointers(await report(client, held, "heartbeat", lease_seconds=seconds)) == ["/lease_seconds"]


class TestComplete:
    async def test_answer_is_the_task(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        response = await report(client, held, "complete", result={"sent": True})
        task = response.json()
        assert task == await get_task(client, held)
        assert response.headers["etag"] == f'"{task["revision"]}"'
        assert (task["status"], task["result"], task["error"], task["reason"]) == (
            "completed",
            {"sent": True},
            None,
            None,
        )
        assert task["lease_expires_at"] is None
        assert task["completed_at"] >= task["started_at"]
        assert task["cancelled_at"] is None

    async def test_attempt_holds_the_result(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        task = await reported(client, held, "complete", result=[1])
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["result"], attempt["ended_at"], attempt["claimed_by"]) == (
            "completed",
            [1],
            task["completed_at"],
            "worker-1",
        )

    @pytest.mark.parametrize("value", KEPT, ids=range(len(KEPT)))
    async def test_result_comes_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        held = await start_task(client)
        assert repr((await reported(client, held, "complete", result=value))["result"]) == repr(value)
        assert repr((await get_task(client, held))["result"]) == repr(value)
        assert repr((await attempts_of(client, held))[0]["result"]) == repr(value)

    async def test_result_may_be_left_out(self, client: httpx.AsyncClient) -> None:
        assert (await reported(client, await start_task(client), "complete"))["result"] is None

    async def test_completed_task_is_not_handed_out_again(self, client: httpx.AsyncClient) -> None:
        await reported(client, await start_task(client), "complete")
        assert await claim_tasks(client) == []


class TestFail:
    async def test_last_attempt_fails_the_task(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        response = await report(client, held, "fail", error=BROKEN)
        task = response.json()
        assert task == await get_task(client, held)
        assert response.headers["etag"] == f'"{task["revision"]}"'
        assert (task["status"], task["reason"], task["error"]) == ("failed", "attempts_exhausted", BROKEN)
        assert task["completed_at"] is not None
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["error"], attempt["ended_at"]) == ("failed", BROKEN, task["completed_at"])
        assert (attempt["attempt"], attempt["run_id"], attempt["reason"]) == (1, held["run_id"], None)

    async def test_retried_failure_shows_the_next_attempt_at_once(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=3)
        task = await reported(client, held, "fail", error=BROKEN)
        assert (task["status"], task["attempt"], task["reason"], task["error"]) == ("pending", 2, None, BROKEN)
        assert task["run_id"] != held["run_id"]
        assert (task["claimed_by"], task["lease_expires_at"], task["completed_at"]) == (None, None, None)
        first, second = await attempts_of(client, held)
        assert (first["attempt"], first["status"], first["error"]) == (1, "failed", BROKEN)
        assert (second["attempt"], second["status"], second["run_id"]) == (2, "pending", task["run_id"])
        assert second["error"] is None
        claimed = await claim_task(client)
        assert (claimed["attempt"], claimed["run_id"]) == (2, task["run_id"])

    async def test_attempts_are_numbered_from_one(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=4)
        for _ in range(3):
            await reported(client, held, "fail", error=BROKEN)
            held = await claim_task(client)
        await reported(client, held, "complete")
        attempts = await attempts_of(client, held)
        assert [attempt["attempt"] for attempt in attempts] == [1, 2, 3, 4]
        assert [attempt["status"] for attempt in attempts] == ["failed"] * 3 + ["completed"]
        assert len({attempt["run_id"] for attempt in attempts}) == 4

    async def test_not_retryable_failure_is_the_last(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=5)
        task = await reported(client, held, "fail", error=BROKEN, retryable=False)
        assert (task["status"], task["reason"], task["attempt"]) == ("failed", "not_retryable", 1)
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["reason"]) == ("failed", "not_retryable")

    @pytest.mark.parametrize("when", [{"retry_after_seconds": 3600}, {"retry_at": "2126-01-01T00:00:00+02:00"}])
    async def test_next_attempt_may_be_put_off(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        held = await start_task(client, max_attempts=2)
        task = await reported(client, held, "fail", error=BROKEN, **when)
        assert (task["status"], task["attempt"]) == ("sleeping", 2)
        if "retry_at" in when:
            assert task["wake_at"] == "2125-12-31T22:00:00Z"
        assert await claim_tasks(client) == []

    @pytest.mark.parametrize("when", [{"retry_after_seconds": 0}, {"retry_at": "2020-01-01T00:00:00Z"}])
    async def test_time_that_has_come_makes_it_pending(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        held = await start_task(client, max_attempts=2, retry_strategy={"kind": "fixed", "base_seconds": 60})
        task = await reported(client, held, "fail", **when)
        assert (task["status"], task["wake_at"]) == ("pending", None)
        assert len(await claim_tasks(client)) == 1

    async def test_both_times_are_too_many(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        body = {"retry_at": "2126-01-01T00:00:00Z", "retry_after_seconds": 1}
        assert (await report(client, held, "fail", **body)).status_code == 422
        assert (await get_task(client, held))["status"] == "running"

    @pytest.mark.parametrize(
        ("strategy", "pauses"),
        [
            ({"kind": "fixed", "base_seconds": 60}, [60, 60, 60]),
            ({"kind": "exponential", "base_seconds": 10, "factor": 3, "max_seconds": 50}, [10, 30, 50]),
            ({"kind": "exponential", "base_seconds": 10}, [10, 20, 40]),
        ],
    )
    async def test_strategy_puts_the_next_attempt_off(
        self, client: httpx.AsyncClient, database: Database, strategy: dict[str, Any], pauses: list[float]
    ) -> None:
        held = await start_task(client, max_attempts=4, retry_strategy=strategy)
        for pause in pauses:
            task = await reported(client, held, "fail")
            assert task["status"] == "sleeping"
            left = datetime.fromisoformat(task["wake_at"]) - datetime.fromisoformat(task["updated_at"])
            assert left == timedelta(seconds=pause)
            async with database.transaction() as tx:
                await pass_time(tx, task, pause)
            held = await claim_task(client, wait_seconds=60)

    @pytest.mark.parametrize("strategy", [None, {"kind": "none"}, {"kind": "fixed", "base_seconds": 0}])
    async def test_zero_pause_makes_it_pending(
        self, client: httpx.AsyncClient, strategy: dict[str, Any] | None
    ) -> None:
        held = await start_task(client, max_attempts=2, retry_strategy=strategy)
        assert (await reported(client, held, "fail"))["status"] == "pending"

    @pytest.mark.parametrize("value", [value for value in KEPT if isinstance(value, dict)] + [{"v": v} for v in KEPT])
    async def test_error_comes_back_exactly_as_given(self, client: httpx.AsyncClient, value: Any) -> None:
        held = await start_task(client)
        assert repr((await reported(client, held, "fail", error=value))["error"]) == repr(value)
        assert repr((await get_task(client, held))["error"]) == repr(value)
        assert repr((await attempts_of(client, held))[0]["error"]) == repr(value)

    async def test_error_may_be_null(self, client: httpx.AsyncClient) -> None:
        assert (await reported(client, await start_task(client), "fail", error=None))["error"] is None

    async def test_error_is_that_of_the_last_attempt(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client, max_attempts=2)
        await reported(client, held, "fail", error=BROKEN)
        assert (await reported(client, await claim_task(client), "fail", error=None))["error"] is None
        assert [attempt["error"] for attempt in await attempts_of(client, held)] == [BROKEN, None]

    @pytest.mark.parametrize(
        ("body", "place"),
        [
            ({"error": "it broke"}, "/error"),
            ({"error": [BROKEN]}, "/error"),
            ({"retryable": "no"}, "/retryable"),
            ({"retryable": None}, "/retryable"),
            ({"retry_at": "2026-01-01T00:00:00"}, "/retry_at"),
            ({"retry_after_seconds": -1}, "/retry_after_seconds"),
        ],
    )
    async def test_bad_body_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        held = await start_task(client)
        assert pointers(await report(client, held, "fail", **body)) == [place]


class TestSleep:
    @pytest.mark.parametrize("when", [{"seconds": 3600}, {"wake_at": "2126-01-01T00:00:00Z"}])
    async def test_lease_ends_and_the_attempt_stays(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        held = await start_task(client)
        task = await reported(client, held, "sleep", **when)
        assert task == await get_task(client, held)
        assert (task["status"], task["attempt"], task["run_id"]) == ("sleeping", 1, held["run_id"])
        assert (task["lease_expires_at"], task["completed_at"]) == (None, None)
        assert task["wake_at"] > task["updated_at"]
        (attempt,) = await attempts_of(client, held)
        assert (attempt["status"], attempt["ended_at"]) == ("sleeping", None)
        assert await claim_tasks(client) == []

    @pytest.mark.parametrize("when", [{"seconds": 0}, {"wake_at": "2020-01-01T00:00:00Z"}])
    async def test_time_that_has_come_lets_it_be_claimed(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        held = await start_task(client)
        await reported(client, held, "sleep", **when)
        claimed = await claim_task(client)
        assert (claimed["attempt"], claimed["run_id"]) == (1, held["run_id"])
        assert claimed["lease_token"] != held["lease_token"]
        task = await get_task(client, held)
        assert (task["status"], task["wake_at"]) == ("running", None)

    @pytest.mark.parametrize("when", [{}, {"seconds": 1, "wake_at": "2126-01-01T00:00:00Z"}, {"seconds": None}])
    async def test_exactly_one_time_is_taken(self, client: httpx.AsyncClient, when: dict[str, Any]) -> None:
        held = await start_task(client)
        assert (await report(client, held, "sleep", **when)).status_code == 422
        assert (await get_task(client, held))["status"] == "running"

    @pytest.mark.parametrize(
        ("body", "place"),
        [({"seconds": -1}, "/seconds"), ({"seconds": "1"}, "/seconds"), ({"wake_at": "2026-01-01"}, "/wake_at")],
    )
    async def test_bad_time_is_refused(self, client: httpx.AsyncClient, body: dict[str, Any], place: str) -> None:
        held = await start_task(client)
        assert pointers(await report(client, held, "sleep", **body)) == [place]


class TestRelease:
    async def test_task_is_given_back_unharmed(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        task = await reported(client, held, "release")
        assert task == await get_task(client, held)
        assert (task["status"], task["attempt"], task["run_id"]) == ("pending", 1, held["run_id"])
        assert (task["claimed_by"], task["lease_expires_at"], task["error"]) == (None, None, None)
        claimed = await claim_task(client)
        assert (claimed["attempt"], claimed["run_id"]) == (1, held["run_id"])

    async def test_it_uses_no_attempt_up_however_often(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        for _ in range(3):
            await reported(client, held, "release")
            held = await claim_task(client)
        assert held["attempt"] == 1
        assert len(await attempts_of(client, held)) == 1

    async def test_it_keeps_its_place_in_the_line(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await client.post(TASKS, json={"task_name": "later"})
        await reported(client, held, "release")
        assert (await claim_task(client))["task_id"] == held["task_id"]
