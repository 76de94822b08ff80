"""Definitions through both clients, against a running service."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from milepost.client import AsyncClient, Client, NotFound, NotYaml, ValidationFailed, WorkflowExists
from milepost.schemas.workflows import EdgeKind, ScriptVerb, Workflow
from tests.definitions import LINEAR_YAML, task, workflow


@pytest.fixture
def name() -> str:
    """Return the name of a workflow that no other test uses."""
    return f"w{uuid4().hex}"


class TestRegisterWorkflow:
    def test_yaml_text_and_object_are_taken(self, client: Client, name: str) -> None:
        of_text = client.register_workflow(LINEAR_YAML.replace("linear", name))
        assert isinstance(of_text, Workflow)
        document = client.get_workflow_version(name).document
        assert client.register_workflow(document) == of_text

    def test_same_key_registers_once(self, client: Client, name: str) -> None:
        key = uuid4().hex
        first, second = (client.register_workflow(workflow(name=name), idempotency_key=key) for _ in range(2))
        assert first == second

    def test_other_content_is_refused(self, client: Client, name: str) -> None:
        first = client.register_workflow(workflow(name=name))
        with pytest.raises(WorkflowExists) as caught:
            client.register_workflow(workflow(name=name, description="other"))
        assert caught.value.current["workflow_hash"] == first.workflow_hash

    def test_errors_have_codes_and_places(self, client: Client) -> None:
        with pytest.raises(ValidationFailed) as caught:
            client.register_workflow(workflow(task("a", "b")))
        assert [(error.code, error.pointer) for error in caught.value.errors] == [
            ("missing_dependency", "/tasks/a/dependencies/0")
        ]

    def test_what_is_not_yaml_is_refused(self, client: Client) -> None:
        with pytest.raises(NotYaml):
            client.register_workflow("name: [")


class TestReading:
    def test_versions_are_found(self, client: Client, name: str) -> None:
        client.register_workflow(workflow(name=name, version="1"))
        client.register_workflow(workflow(task("extract"), name=name, version="2"))
        assert [version.workflow_version for version in client.get_workflow(name).versions] == ["2", "1"]
        assert name in {found.workflow_name for found in client.iterate_workflows(limit=200)}
        assert client.diff_workflow_versions(name, "1").removed == ["load"]

    def test_graph_is_a_model(self, client: Client, name: str) -> None:
        client.register_workflow(workflow(name=name))
        (edge,) = client.get_workflow_graph(name, "1.0.0").edges
        assert (edge.from_, edge.to, edge.kind) == ("extract", "load", EdgeKind.dependency)

    def test_deleted_version_is_not_found(self, client: Client, name: str) -> None:
        client.register_workflow(workflow(name=name))
        client.delete_workflow(name, "1.0.0")
        with pytest.raises(NotFound):
            client.get_workflow_version(name)


class TestTrying:
    @pytest.mark.parametrize("written", [lambda document: document, lambda _: LINEAR_YAML], ids=["object", "text"])
    def test_definition_is_validated(self, client: Client, written: Callable[[object], str]) -> None:
        assert client.validate_workflow(written(workflow())).valid

    def test_script_is_played(self, client: Client) -> None:
        run = client.simulate_workflow(workflow(), [{"do": "start"}], inputs={"a": 1})
        assert run.steps[0].do is ScriptVerb.start
        assert run.steps[0].then["runnable"][0]["task"] == "extract"
        assert run.final.tasks == {"extract": "runnable", "load": "waiting"}


class TestStartWorkflow:
    def test_run_is_started(self, client: Client, name: str, queue: str) -> None:
        client.register_workflow(workflow(name=name))
        run = client.start_workflow(name, inputs=[1], tags={"env": "prod"}, queue=queue)
        assert (run.workflow_name, run.inputs, run.tags, run.queue) == (name, [1], {"env": "prod"}, queue)

    async def test_async_client_does_the_same(self, async_client: AsyncClient, name: str, queue: str) -> None:
        await async_client.register_workflow(workflow(name=name))
        assert (await async_client.start_workflow(name, "1.0.0", queue=queue)).workflow_name == name
