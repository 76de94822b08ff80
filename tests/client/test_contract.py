"""The client offers what the service offers: operations, arguments and refusals."""

import inspect
from typing import Any, get_type_hints

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

import milepost
from app.errors import PROBLEMS
from milepost.client import AsyncClient, Client, MilepostError, fields
from milepost.client.calls import Operation
from milepost.client.changes import ChangeFields, Following
from milepost.client.exceptions import REFUSALS
from milepost.schemas.changes import ChangeFilter
from milepost.schemas.logs import LogLineAppend, LogQuery
from milepost.schemas.progress import ProgressReport
from milepost.schemas.queues import QueueSettings, QueueUpdate
from milepost.schemas.tasks import Claim, RunTaskQuery, TaskQuery, TaskSpec
from milepost.schemas.workflow_runs import RunFilter, RunQuery, WorkflowRunCreate, WorkflowRunUpdate


def operations(document: dict[str, Any]) -> set[str]:
    return {operation["operationId"] for path in document["paths"].values() for operation in path.values()}


def methods(client: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(client, lambda member: isinstance(member, Operation | Following))}


class TestOperations:
    @pytest.mark.parametrize("client", [Client, AsyncClient])
    def test_each_operation_is_a_method(self, app: FastAPI, client: type) -> None:
        assert operations(app.openapi()) == methods(client)

    def test_each_method_has_a_docstring(self) -> None:
        assert [name for name in methods(Client) if not getattr(Client, name).__doc__] == []


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "model"),
        [
            (fields.NewRunFields, WorkflowRunCreate),
            (fields.RunFilterFields, RunFilter),
            (fields.RunQueryFields, RunQuery),
            (fields.TaskFields, TaskSpec),
            (fields.TaskQueryFields, TaskQuery),
            (fields.RunTaskQueryFields, RunTaskQuery),
            (fields.ClaimFields, Claim),
            (fields.ProgressFields, ProgressReport),
            (fields.LogLineFields, LogLineAppend),
            (fields.LogQueryFields, LogQuery),
            (fields.QueueFields, QueueSettings),
            (ChangeFields, ChangeFilter),
            (fields.QueueFields, QueueUpdate),
        ],
    )
    def test_keyword_arguments_are_the_fields_of_the_wire(self, arguments: type, model: type[BaseModel]) -> None:
        assert set(get_type_hints(arguments)) == set(model.model_fields)

    def test_change_of_a_run_names_its_status_and_all_else(self) -> None:
        assert {"status", *get_type_hints(fields.RunChangeFields)} == set(WorkflowRunUpdate.model_fields)


class TestRefusals:
    def test_each_problem_has_a_class(self) -> None:
        assert set(PROBLEMS) - set(REFUSALS) == set()

    def test_the_whole_tree_is_public(self) -> None:
        assert {kind.__name__ for kind in subclasses(MilepostError)} <= set(milepost.__all__)


class TestPublicNames:
    def test_there_are_no_others(self) -> None:
        assert sorted(milepost.__all__) == sorted(
            [
                "AbsurdClient",
                "AbsurdSleepError",
                "AsyncClient",
                "AsyncTaskContext",
                "Client",
                "EventTimeout",
                "NonRetryable",
                "RetryLater",
                "TaskContext",
                "TimeLimitExceeded",
                "Worker",
                "get_absurd_client",
                "spawn_cancellable_task",
                "spawn_retry_task",
                *(kind.__name__ for kind in subclasses(MilepostError)),
            ]
        )


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))
