"""Reporting results: those that come while a report is under way go together in the next one."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from milepost.client.calls import post
from milepost.client.client import AsyncClient
from milepost.client.encoding import write_json, write_path
from milepost.client.exceptions import REFUSALS, RefusedError, Unavailable, UnreachableError
from milepost.schemas.tasks import ClaimedTask, CompletionOutcome, CompletionOutcomes

BATCH_MOST = 1000
BATCH_MAX_BYTES = 500_000
"""Well below what the service takes as one body."""


@dataclass(frozen=True, slots=True)
class Result:
    """One result, as JSON, and who waits for what the service says to it."""

    item: bytes
    said: "asyncio.Future[None]"


class Completions:
    """Reports the results of one queue; belongs to one event loop."""

    def __init__(self, client: AsyncClient, queue: str) -> None:
        self.client = client
        self.queue = queue
        self._path = write_path("/v1/queues/{}/complete", queue)
        self._waiting: deque[Result] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def complete(self, task: ClaimedTask, result: object) -> None:
        """Report ``result``. Raises what the service says to it, and TypeError or ValueError if it is not JSON."""
        item = write_json({"task_id": task.task_id, "lease_token": task.lease_token, "result": result})
        reported = Result(item, asyncio.get_running_loop().create_future())
        self._waiting.append(reported)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_waiting())
        await reported.said

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch = self._take_batch()
            try:
                outcomes = await self._send(batch)
            except (UnreachableError, Unavailable) as error:
                _tell(batch, [error] * len(batch))
            except RefusedError as refusal:
                _tell(batch, [refusal] if len(batch) == 1 else await self._send_one_by_one(batch))
            except Exception as error:  # noqa: BLE001 - those who wait are to hear of it
                _tell(batch, [error] * len(batch))
            else:
                _tell(batch, [_refusal_in(outcome) for outcome in outcomes])
        self._sending = None

    def _take_batch(self) -> list[Result]:
        batch = [self._waiting.popleft()]
        size = len(batch[0].item)
        while self._waiting and len(batch) < BATCH_MOST:
            size += len(self._waiting[0].item)
            if size > BATCH_MAX_BYTES:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _send(self, batch: Sequence[Result]) -> list[CompletionOutcome]:
        content = b'{"tasks":[' + b",".join(result.item for result in batch) + b"]}"
        return (await self.client.send(post(self._path, CompletionOutcomes, content, repeatable=True))).outcomes

    async def _send_one_by_one(self, batch: Sequence[Result]) -> list[Exception | None]:
        """Return what the service says to each: it refused them together, perhaps because of one."""
        said: list[Exception | None] = []
        for result in batch:
            try:
                said.append(_refusal_in((await self._send([result]))[0]))
            except Exception as error:  # noqa: BLE001 - who waits is to hear of it
                said.append(error)
        return said


def _tell(batch: Sequence[Result], said: Sequence[Exception | None]) -> None:
    for result, error in zip(batch, said, strict=True):
        if result.said.done():
            continue
        if error is None:
            result.said.set_result(None)
        else:
            result.said.set_exception(error)


def _refusal_in(outcome: CompletionOutcome) -> RefusedError | None:
    if outcome.code is None:
        return None
    problem = {"detail": f"the task is {outcome.task_status}" if outcome.task_status else "there is no such task"}
    return REFUSALS.get(outcome.code, RefusedError)(outcome.status, outcome.code, problem)
