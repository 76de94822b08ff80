"""Wake-ups across replicas: quick, in parts that fit, and back after the connection broke."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
import structlog

import app.db.wakeups as wakeups_module
from app.db.wakeups import CHANNEL, Wakeups, _in_parts, send_wakeups
from tests.conftest import connect, make_settings
from tests.factories import RUNS, create_run, patch_run
from tests.lock_order import watching
from tests.waiting import PATIENCE_SECONDS, PROMPT_SECONDS


async def until(fact: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    async with asyncio.timeout(seconds):
        while not fact():  # noqa: ASYNC110 - the condition is the signal
            await asyncio.sleep(0.005)


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[tuple[Wakeups, Wakeups]]:
    """Give the wake-ups of two replicas, both listening."""
    one, other = Wakeups(database_url), Wakeups(database_url)
    for wakeups in (one, other):
        await wakeups.start()
    await until(lambda: one.listening and other.listening)
    yield one, other
    for wakeups in (one, other):
        await wakeups.stop()


async def seconds_until_woken(wakeups: Wakeups, topic: str, tell: Callable[[], Any]) -> float:
    with wakeups.waiting(topic) as waiter:
        began = time.monotonic()
        told = tell()
        if told is not None:
            await told
        await waiter.wait(PATIENCE_SECONDS)
        return time.monotonic() - began


def break_listeners(url: str) -> None:
    with connect(url) as connection:
        query = """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'LISTEN %'
        """
        assert connection.execute(query).fetchall()


class TestWakeups:
    async def test_waiter_in_the_same_replica_is_woken_at_once(self, replicas: tuple[Wakeups, Wakeups]) -> None:
        one, _ = replicas
        assert await seconds_until_woken(one, "run:1", lambda: one.publish({"run:1"})) < PROMPT_SECONDS

    async def test_waiter_in_another_replica_is_woken_quickly(self, replicas: tuple[Wakeups, Wakeups]) -> None:
        one, other = replicas
        assert await seconds_until_woken(other, "run:1", lambda: one.publish({"run:1"})) < PROMPT_SECONDS

    async def test_word_from_outside_wakes_every_replica(
        self, replicas: tuple[Wakeups, Wakeups], database_url: str
    ) -> None:
        for wakeups in replicas:
            assert (
                await seconds_until_woken(wakeups, "keys", lambda: send_wakeups(database_url, {"keys"}))
                < PROMPT_SECONDS
            )

    async def test_waiter_for_something_else_sleeps_on(self, replicas: tuple[Wakeups, Wakeups]) -> None:
        one, other = replicas
        with other.waiting("run:2") as waiter, other.waiting("run:1") as woken:
            one.publish({"run:1"})
            await woken.wait(PATIENCE_SECONDS)
            assert not waiter._news.is_set()

    async def test_many_topics_are_told_in_parts_that_fit(self, replicas: tuple[Wakeups, Wakeups]) -> None:
        one, other = replicas
        topics = {f"run:{number:036d}" for number in range(2000)}
        heard: set[str] = set()
        for topic in topics:
            other.on(topic, lambda topic=topic: heard.add(topic))  # type: ignore[misc]
        one.publish(topics)
        await until(lambda: heard == topics)

    def test_no_part_is_too_long_for_postgres(self) -> None:
        for topics in (["é" * 50 + str(number) for number in range(500)], ["a"] * 5000, ["run:" + "x" * 36] * 3000):
            parts = list(_in_parts(topics))
            assert [topic for part in parts for topic in part] == topics
            for part in parts:
                assert len(json.dumps({"from": "f" * 32, "topics": part})) < 8000
                assert len(json.dumps({"from": "f" * 32, "ready": dict.fromkeys(part, 999_999)})) < 8000

    async def test_broken_connection_wakes_everybody_and_is_made_again(
        self, replicas: tuple[Wakeups, Wakeups], database_url: str
    ) -> None:
        one, other = replicas
        assert await seconds_until_woken(other, "run:1", lambda: break_listeners(database_url)) < PROMPT_SECONDS
        await until(lambda: one.listening and other.listening)
        assert await seconds_until_woken(other, "run:1", lambda: one.publish({"run:1"})) < PROMPT_SECONDS

    async def test_word_that_could_not_be_sent_is_sent_after_the_connection_is_back(
        self, replicas: tuple[Wakeups, Wakeups], database_url: str
    ) -> None:
        one, other = replicas
        with connect(database_url) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND application_name = 'milepost'"
            )
        await until(lambda: not other.listening)
        await until(lambda: other.listening)
        assert await seconds_until_woken(other, "run:1", lambda: one.publish({"run:1"})) < PROMPT_SECONDS

    @pytest.mark.parametrize("payload", ["", "hello", "[]", "null", "{}", '{"from": "x", "topics": 3}', '{"from": []}'])
    async def test_strange_notification_is_passed_over(
        self, replicas: tuple[Wakeups, Wakeups], database_url: str, payload: str
    ) -> None:
        one, other = replicas
        with connect(database_url) as connection:
            connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
        assert await seconds_until_woken(other, "run:1", lambda: one.publish({"run:1"})) < PROMPT_SECONDS
        assert other.listening

    async def test_stop_tells_what_is_still_untold(self, replicas: tuple[Wakeups, Wakeups], database_url: str) -> None:
        _, other = replicas
        leaving = Wakeups(database_url)
        await leaving.start()

        async def tell_and_stop() -> None:
            leaving.publish({"run:1"})
            await leaving.stop()

        assert await seconds_until_woken(other, "run:1", tell_and_stop) < PROMPT_SECONDS

    @pytest.mark.parametrize("turns", range(5))
    async def test_stop_ends_also_in_the_moment_in_which_the_connection_is_lost(
        self, database_url: str, turns: int
    ) -> None:
        """Turns of the event loop lie between the loss and the stop: in one of them a wait could swallow the stop."""
        wakeups = Wakeups(database_url)
        await wakeups.start()
        await until(lambda: wakeups.listening)
        await asyncio.sleep(0.05)
        wakeups._lost.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await wakeups.stop()

    async def test_deaf_replica_looks_for_itself(self) -> None:
        deaf = Wakeups("postgresql://nobody@/nothing?host=/nowhere")
        await deaf.start()
        try:
            assert await seconds_until_woken(deaf, "run:1", lambda: None) < PROMPT_SECONDS
        finally:
            await deaf.stop()

    async def test_replica_whose_own_word_does_not_come_back_is_deaf(
        self, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As behind a pooler: LISTEN is taken, and nothing is heard."""
        monkeypatch.setattr(wakeups_module, "ECHO_SECONDS", 0.2)
        monkeypatch.setattr(wakeups_module.Wakeups, "_hear", lambda *_: None)
        deaf = Wakeups(database_url)
        with structlog.testing.capture_logs() as logs:
            await deaf.start()
            try:
                await until(lambda: logs)
                assert not deaf.listening
                assert await seconds_until_woken(deaf, "run:1", lambda: None) < PROMPT_SECONDS
            finally:
                await deaf.stop()
        assert [line["event"] for line in logs] == ["notifications_do_not_come_back"]
        assert "MILEPOST_LISTEN_URL" in logs[0]["remedy"]

    async def test_drain_wakes_everybody(self, replicas: tuple[Wakeups, Wakeups]) -> None:
        one, _ = replicas
        assert await seconds_until_woken(one, "run:1", one.drain) < PROMPT_SECONDS


class TestNotify:
    async def test_notify_stands_in_no_transaction_that_writes(self, client: Any) -> None:
        statements: list[str] = []

        with watching(lambda _, statement: statements.append(statement)):
            run = await create_run(client)
            assert (await patch_run(client, run, status="completed")).status_code == 200
        assert any("INSERT" in statement for statement in statements)
        assert not [statement for statement in statements if "notify" in statement.lower()]

    async def test_news_are_told_after_the_commit(self, client: Any, database_url: str) -> None:
        run = await create_run(client)
        with connect(database_url) as listener:
            listener.execute(f"LISTEN {CHANNEL}".encode())
            await patch_run(client, run, status="completed")
            await asyncio.to_thread(hear, listener, f"run:{run['workflow_run_id']}")
            row = listener.execute(
                "SELECT status FROM workflow_runs WHERE workflow_run_id = %s", (run["workflow_run_id"],)
            ).fetchone()
        assert row == ("completed",)
        assert (await client.get(f"{RUNS}/{run['workflow_run_id']}")).json()["status"] == "completed"


def hear(listener: psycopg.Connection[Any], topic: str) -> None:
    """Return when news of a topic come; those of others, as of the create before, may come first."""
    for notification in listener.notifies(timeout=PATIENCE_SECONDS):
        if topic in json.loads(notification.payload)["topics"]:
            return
    raise AssertionError(topic)


def test_listen_url_is_its_own_setting(database_url: str) -> None:
    settings = make_settings("postgresql://pooler/x", listen_url=database_url)
    assert settings.listen_url
    assert settings.listen_url.get_secret_value() == database_url
