"""Definitions when many callers and two replicas register, start and delete them at the same moment."""

from collections import Counter
from typing import Any

import httpx

from tests.concurrency.crowd import Crowd, outcome, race
from tests.definitions import WORKFLOWS, workflow

ROUNDS = 20


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


def register(crowd: Crowd, number: int, **headers: str) -> Any:
    def send(**members: Any) -> Any:
        return crowd[number].post(WORKFLOWS, json=workflow(**members), headers=headers)

    return send


class TestRegister:
    async def test_of_twenty_at_once_with_the_same_content_one_registers(self, crowd: Crowd, queue: str) -> None:
        for number in range(ROUNDS):
            name = f"{queue}_same{number}"
            answers = await race(*(register(crowd, i)(name=name) for i in range(20)), seed=number)
            assert statuses(answers) == {201: 1, 200: 19}
            assert len({answer.content for answer in answers}) == 1

    async def test_of_twenty_at_once_with_other_content_one_registers(self, crowd: Crowd, queue: str) -> None:
        for number in range(ROUNDS):
            name = f"{queue}_other{number}"
            answers = await race(*(register(crowd, i)(name=name, description=str(i)) for i in range(20)), seed=number)
            assert statuses(answers) == {201: 1, 409: 19}
            (winner,) = [answer.json() for answer in answers if answer.status_code == 201]
            assert all(answer.json()["current"] == winner for answer in answers if answer.status_code == 409)

    async def test_of_twenty_at_once_with_one_key_nineteen_replay(self, crowd: Crowd, queue: str) -> None:
        headers = {"Idempotency-Key": queue}
        answers = await race(*(register(crowd, i, **headers)(name=queue) for i in range(20)))
        assert statuses(answers) == {201: 1, 200: 19}
        assert sum("idempotency-replayed" in answer.headers for answer in answers) == 19

    async def test_many_in_opposite_order_do_not_wait_for_each_other(self, crowd: Crowd, queue: str) -> None:
        names = [f"{queue}_w{n}" for n in range(40)]
        calls = [register(crowd, 0)(name=name, schedule="0 2 * * *", is_paused=True) for name in names]
        calls += [register(crowd, 1)(name=name, schedule="0 2 * * *", is_paused=True) for name in reversed(names)]
        assert statuses(await race(*calls, seed=None)) == {201: 40, 200: 40}


class TestDelete:
    async def test_registering_and_deleting_leave_it_there_or_gone(self, crowd: Crowd, queue: str) -> None:
        for number in range(ROUNDS):
            path = f"{WORKFLOWS}/{queue}/{number}"
            calls = [register(crowd, i)(name=queue, version=str(number)) for i in range(5)]
            answers = await race(*calls, *(crowd[i].delete(path) for i in range(5)), seed=number)
            done = statuses(answers)
            assert set(done) <= {200, 201, 204, 404}
            left = (await crowd[0].get(path)).status_code
            assert done[201] - done[204] == (1 if left == 200 else 0)

    async def test_version_is_either_deleted_or_started(self, crowd: Crowd, queue: str) -> None:
        for number in range(ROUNDS):
            version = str(number)
            await register(crowd, 0)(name=queue, version=version)
            path = f"{WORKFLOWS}/{queue}/{version}"
            starts = [crowd[i].post(f"{path}/runs", json={"queue": queue}) for i in range(4)]
            *started, deleted = await race(*starts, crowd[1].delete(path), seed=number)
            done = Counter(map(outcome, started))
            assert outcome(deleted) == ("move-not-allowed" if done["ok"] else "ok")
            assert done in ({"ok": 4}, {"not-found": 4})
