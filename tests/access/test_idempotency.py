"""What a batch of requests with idempotency keys locks, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import uuid4

from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.engine import Tx
from app.errors import NotFound, Refusal
from app.store import tasks


@dataclass(frozen=True)
class Request:
    key: IdempotencyKey
    is_refused: bool = False


def sent(key: str, body: str, *, is_refused: bool = False) -> Request:
    return Request(IdempotencyKey(sha256(key.encode()).digest(), sha256(body.encode()).digest()), is_refused)


async def perform(tx: Tx, requests: Sequence[Request]) -> Sequence[Reply | Refusal]:
    await tasks.lock_tasks(tx, [uuid4() for _ in requests])
    return [NotFound("it is not there") if request.is_refused else Reply(b"{}") for request in requests]


class TestAnswerOnce:
    async def test_keys_are_stored_when_all_is_done(self, tx: Tx) -> None:
        """A key whose first request is refused is tried again after others are done: more is locked for it."""
        first, again = sent("one", "as it was", is_refused=True), sent("one", "another")
        refused, _, done = await answer_once(tx, [first, sent("two", "whatever"), again], perform)
        assert isinstance(refused, NotFound)
        assert isinstance(done, Reply)
        assert not done.replayed
        repeated, *_ = await answer_once(tx, [again], perform)
        assert isinstance(repeated, Reply)
        assert repeated.replayed
