"""What is sent again and what is not, and what answers of others mean."""

import json
import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from milepost.client import (
    AsyncClient,
    Client,
    Conflict,
    NotFound,
    RefusedError,
    Unauthenticated,
    Unavailable,
    UnreachableError,
    UnreadableAnswerError,
)
from tests.client.server import listening
from tests.factories import UNKNOWN_ID

Step = httpx.Response | Exception
VERSION = {"version": "1", "python": "3", "postgres": None, "schema_revision": None}
FINE = httpx.Response(200, json=VERSION)
AWAY = httpx.Response(503, headers={"Retry-After": "0"}, json={"code": "unavailable", "detail": "busy"})


class Script:
    """Answers one request after the other as written, and keeps what was asked."""

    def __init__(self, *steps: Step) -> None:
        self.requests: list[httpx.Request] = []
        self._steps: Iterator[Step] = iter(steps)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = next(self._steps)
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)

    def client(self, **options: Any) -> Client:
        return Client("http://milepost", transport=httpx.MockTransport(self), **options)


def create(client: Client) -> object:
    return client.create_workflow_run("etl", "1")


def claim(client: Client) -> object:
    return client.claim_tasks("default", worker_id="w")


def complete(client: Client) -> object:
    return client.complete_task(UNKNOWN_ID, "token", 1)


def retry_run(client: Client) -> object:
    return client.retry_workflow_run(UNKNOWN_ID)


def delete_run(client: Client) -> object:
    return client.delete_workflow_run(UNKNOWN_ID)


def change_one_revision(client: Client) -> object:
    return client.update_workflow_run_status(UNKNOWN_ID, if_match=1, status="running")


class TestRetries:
    def test_reading_is_repeated_after_a_broken_connection(self) -> None:
        script = Script(httpx.ReadError("broken"), FINE)
        with script.client() as client:
            assert client.get_version().version == "1"

    def test_503_is_repeated_when_the_service_says(self) -> None:
        script = Script(AWAY, AWAY, FINE)
        with script.client() as client:
            assert client.get_version().version == "1"
        assert len(script.requests) == 3

    def test_creating_keeps_its_key_and_body_over_repeats(self) -> None:
        script = Script(httpx.ReadTimeout("slow"), AWAY, httpx.Response(422, json={"code": "validation-failed"}))
        with script.client() as client, pytest.raises(RefusedError):
            create(client)
        assert len(script.requests) == 3
        assert len({request.headers["idempotency-key"] for request in script.requests}) == 1
        assert len({request.headers["x-request-id"] for request in script.requests}) == 1
        assert len({request.content for request in script.requests}) == 1

    def test_first_repeat_of_a_call_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        script = Script(httpx.ConnectError("refused"), AWAY, FINE)
        with script.client() as client:
            client.get_version()
        (told,) = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert told.getMessage().startswith("retrying GET /v1/version: ")

    def test_two_creations_have_two_keys(self) -> None:
        script = Script(*[httpx.Response(401, json={"code": "unauthenticated"})] * 2)
        with script.client() as client:
            for _ in range(2):
                with pytest.raises(RefusedError):
                    create(client)
        assert len({request.headers["idempotency-key"] for request in script.requests}) == 2

    def test_report_with_a_lease_token_is_repeated(self) -> None:
        script = Script(httpx.RemoteProtocolError("gone"), httpx.Response(409, json={"code": "lease-lost"}))
        with script.client() as client, pytest.raises(Conflict):
            complete(client)
        assert len(script.requests) == 2

    @pytest.mark.parametrize("call", [claim, retry_run])
    def test_claims_and_verbs_keep_their_key_over_repeats(self, call: Callable[[Client], object]) -> None:
        script = Script(httpx.ReadTimeout("slow"), AWAY, httpx.Response(422, json={"code": "validation-failed"}))
        with script.client() as client, pytest.raises(RefusedError):
            call(client)
        assert len(script.requests) == 3
        assert len({request.headers["idempotency-key"] for request in script.requests}) == 1

    @pytest.mark.parametrize("call", [change_one_revision, delete_run])
    def test_what_is_not_safe_is_not_repeated(self, call: Callable[[Client], object]) -> None:
        script = Script(httpx.ReadTimeout("slow"))
        with script.client() as client, pytest.raises(UnreachableError) as failed:
            call(client)
        assert failed.value.maybe_done
        assert len(script.requests) == 1

    def test_what_never_left_is_always_repeated(self) -> None:
        script = Script(httpx.ConnectError("refused"), httpx.Response(200, json={"tasks": []}))
        with script.client() as client:
            assert client.claim_tasks("default", worker_id="w").tasks == []

    @pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500])
    def test_other_refusals_are_not_repeated(self, status: int) -> None:
        script = Script(httpx.Response(status, json={"code": "whatever"}))
        with script.client() as client, pytest.raises(RefusedError):
            client.get_version()
        assert len(script.requests) == 1

    def test_retries_are_bounded(self) -> None:
        script = Script(*[AWAY] * 3)
        with script.client(retry_attempts=3) as client, pytest.raises(Unavailable) as refused:
            client.get_version()
        assert refused.value.detail == "busy"
        assert len(script.requests) == 3

    def test_service_that_asks_for_too_long_a_pause_is_not_waited_for(self) -> None:
        script = Script(httpx.Response(503, headers={"Retry-After": "3600"}, json={"code": "unavailable"}))
        with script.client() as client, pytest.raises(Unavailable) as refused:
            client.get_version()
        assert refused.value.retry_after_seconds == 3600

    def test_retries_print_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        script = Script(httpx.ReadError("broken"), FINE)
        with script.client() as client:
            client.get_version()
        assert capsys.readouterr() == ("", "")

    async def test_async_client_follows_the_same_rules(self) -> None:
        script = Script(httpx.ReadError("broken"), AWAY, FINE, httpx.ReadTimeout("slow"))
        async with AsyncClient("http://milepost", transport=httpx.MockTransport(script)) as client:
            assert (await client.get_version()).version == "1"
            with pytest.raises(UnreachableError):
                await client.delete_workflow_run(UNKNOWN_ID)
        assert len(script.requests) == 4

    def test_nobody_listening_is_unreachable(self) -> None:
        with Client("http://127.0.0.1:1", retry_attempts=2) as client, pytest.raises(UnreachableError) as failed:
            client.get_version()
        assert not failed.value.maybe_done


class TestAnswers:
    def test_unknown_code_is_the_base_with_status_and_code(self) -> None:
        script = Script(httpx.Response(418, json={"code": "teapot", "title": "A teapot"}))
        with script.client() as client, pytest.raises(RefusedError) as refused:
            client.get_version()
        assert type(refused.value) is RefusedError
        assert (refused.value.status, refused.value.code) == (418, "teapot")
        assert str(refused.value) == "418 teapot: A teapot"

    def test_proxy_without_a_problem_is_a_refusal_by_its_status(self) -> None:
        script = Script(httpx.Response(407, text="<html>who are you"))
        with script.client() as client, pytest.raises(RefusedError) as refused:
            client.get_version()
        assert (refused.value.code, refused.value.detail) == ("http-407", "<html>who are you")

    def test_proxy_without_a_service_is_repeated(self) -> None:
        script = Script(httpx.Response(502, headers={"Retry-After": "0"}, text="bad gateway"), FINE)
        with script.client() as client:
            client.get_version()

    @pytest.mark.parametrize("content", [b"<html>", b"{}", b"[]"])
    def test_answer_of_another_program_is_unreadable(self, content: bytes) -> None:
        script = Script(httpx.Response(200, content=content))
        with script.client() as client, pytest.raises(UnreadableAnswerError):
            client.get_version()

    def test_refusals_survive_pickling(self) -> None:
        refusal = pickle.loads(pickle.dumps(NotFound(404, "not-found", {"detail": "no such run"})))  # noqa: S301
        assert (type(refusal), refusal.status, refusal.detail) == (NotFound, 404, "no such run")


class TestKeys:
    def test_key_opens_what_its_scopes_allow(self, new_database: Callable[[], str]) -> None:
        with listening(new_database(), api_key="first-of-the-environment") as url:
            with Client(url) as client, pytest.raises(Unauthenticated):
                client.list_tasks()
            with Client(url, api_key="wrong") as client, pytest.raises(Unauthenticated):
                client.list_tasks()
            with Client(url, api_key="first-of-the-environment") as client:
                assert client.list_tasks().items == []


class TestRequests:
    def test_key_goes_as_bearer(self) -> None:
        script = Script(FINE)
        with script.client(api_key="secret") as client:
            client.get_version()
        assert script.requests[0].headers["authorization"] == "Bearer secret"
        assert "secret" not in repr(client) + repr(client.target)

    def test_environment_gives_url_and_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MILEPOST_URL", "https://milepost.example/behind/")
        monkeypatch.setenv("MILEPOST_API_KEY", " from-environment\n")
        script = Script(FINE)
        with Client(transport=httpx.MockTransport(script)) as client:
            client.get_version()
        assert str(script.requests[0].url) == "https://milepost.example/behind/v1/version"
        assert script.requests[0].headers["authorization"] == "Bearer from-environment"

    @pytest.mark.parametrize("url", ["localhost:8000", "ftp://milepost", "http://"])
    def test_what_is_no_address_is_refused(self, url: str) -> None:
        with pytest.raises(ValueError, match="http"):
            Client(url)

    def test_names_stay_one_segment_of_the_path(self) -> None:
        event = {"event_name": "e", "payload": None, "workflow_run_id": None, "emitted_at": "2026-01-31T09:30:00Z"}
        names = ["a/b", "..", "100%", "a b?c#d", "ü"]
        script = Script(*[httpx.Response(200, json=event)] * len(names))
        with script.client() as client:
            for name in names:
                client.get_event("default", name)
        paths = [
            request.url.raw_path.decode().removeprefix("/v1/queues/default/events/") for request in script.requests
        ]
        assert paths == ["a%2Fb", "%2E%2E", "100%25", "a%20b%3Fc%23d", "%C3%BC"]

    def test_long_poll_has_time_to_answer(self) -> None:
        script = Script(httpx.Response(200, json={"tasks": []}))
        with script.client(timeout=3) as client:
            client.claim_tasks("default", worker_id="w", wait_seconds=20)
        assert script.requests[0].extensions["timeout"]["read"] == 23

    def test_only_what_is_given_is_sent(self) -> None:
        script = Script(*[httpx.Response(409, json={"code": "lease-lost"})] * 3)
        with script.client() as client:
            with pytest.raises(Conflict):
                client.complete_task(UNKNOWN_ID, "t")
            with pytest.raises(Conflict):
                client.complete_task(UNKNOWN_ID, "t", None)
            with pytest.raises(Conflict):
                client.fail_task(UNKNOWN_ID, "t", {"name": "Oops"})
        assert [json.loads(request.content) for request in script.requests] == [
            {"lease_token": "t"},
            {"lease_token": "t", "result": None},
            {"lease_token": "t", "error": {"name": "Oops"}},
        ]

    def test_what_has_no_form_in_json_is_a_type_error(self) -> None:
        with Script().client() as client:
            with pytest.raises(TypeError, match="object"):
                client.create_workflow_run("etl", "1", inputs=object())
            with pytest.raises(ValueError, match="JSON"):
                client.create_workflow_run("etl", "1", inputs=float("nan"))
