"""Registered definitions over HTTP: found, read, drawn, compared and deleted."""

from typing import Any

import httpx
import pytest

from app.domain.highway.document.texts import read_yaml
from tests.definitions import LINEAR_YAML, WORKFLOWS, YAML, address, register, task, workflow
from tests.factories import RUNS, code, pointers


class TestListWorkflows:
    async def test_newest_versions_stand_by_name(self, client: httpx.AsyncClient) -> None:
        for name, version in (("b", "2"), ("a", "1"), ("b", "1")):
            await register(client, name=name, version=version)
        page = (await client.get(WORKFLOWS)).json()
        assert [(item["workflow_name"], item["workflow_version"]) for item in page["items"]] == [("a", "1"), ("b", "1")]
        assert page["next_cursor"] is None

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        for number in range(5):
            await register(client, name=f"w{number}")
            await register(client, name=f"w{number}", version="2")
        first = await client.get(WORKFLOWS, params={"limit": 3})
        second = await client.get(first.links["next"]["url"])
        items = first.json()["items"] + second.json()["items"]
        assert [item["workflow_name"] for item in items] == [f"w{number}" for number in range(5)]
        assert {item["workflow_version"] for item in items} == {"2"}
        assert second.json()["next_cursor"] is None

    @pytest.mark.parametrize(("query", "place"), [({"limit": 0}, "limit"), ({"cursor": "x"}, "cursor")])
    async def test_bad_parameter_is_refused(self, client: httpx.AsyncClient, query: dict[str, Any], place: str) -> None:
        assert pointers(await client.get(WORKFLOWS, params=query)) == [place]

    async def test_list_is_a_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        await register(client)
        response = await client.get(WORKFLOWS, headers={"Accept": "text/plain"})
        assert response.text.splitlines()[1].startswith("linear         1.0.0")


class TestGetWorkflow:
    async def test_versions_stand_newest_first(self, client: httpx.AsyncClient) -> None:
        for version in ("1.0.0", "1.1.0", "1.0.1"):
            await register(client, version=version)
        found = (await client.get(f"{WORKFLOWS}/linear")).json()
        assert (found["workflow_name"], found["latest"]) == ("linear", "1.0.1")
        assert [version["workflow_version"] for version in found["versions"]] == ["1.0.1", "1.1.0", "1.0.0"]

    async def test_pages_follow_without_gap(self, client: httpx.AsyncClient) -> None:
        for number in range(5):
            await register(client, version=str(number))
        first = await client.get(f"{WORKFLOWS}/linear", params={"limit": 2})
        second = await client.get(first.links["next"]["url"])
        third = await client.get(second.links["next"]["url"])
        pages = [page.json() for page in (first, second, third)]
        assert [item["workflow_version"] for page in pages for item in page["versions"]] == ["4", "3", "2", "1", "0"]
        assert {page["latest"] for page in pages} == {"4"}

    async def test_versions_are_a_table_for_a_terminal(self, client: httpx.AsyncClient) -> None:
        await register(client)
        response = await client.get(f"{WORKFLOWS}/linear", headers={"Accept": "text/plain"})
        assert response.text.splitlines()[1].startswith("1.0.0 ")

    async def test_unknown_workflow_is_not_found(self, client: httpx.AsyncClient) -> None:
        response = await client.get(f"{WORKFLOWS}/nothing")
        assert (response.status_code, code(response)) == (404, "not-found")

    async def test_cursor_of_another_workflow_is_refused(self, client: httpx.AsyncClient) -> None:
        for name, version in (("a", "1"), ("a", "2"), ("b", "1")):
            await register(client, name=name, version=version)
        cursor = (await client.get(f"{WORKFLOWS}/a", params={"limit": 1})).json()["next_cursor"]
        assert pointers(await client.get(f"{WORKFLOWS}/b", params={"cursor": cursor})) == ["cursor"]


class TestGetWorkflowVersion:
    async def test_document_is_as_it_was_registered(self, client: httpx.AsyncClient) -> None:
        document = workflow(task("z"), task("a", "z"), variables={"b": 1, "a": [1.5, 2**60, None, "ä"]})
        registered = (await client.post(WORKFLOWS, json=document)).json()
        found = (await client.get(address(registered))).json()
        assert found == {**registered, "document": document}
        assert list(found["document"]["tasks"]) == ["z", "a"]

    async def test_latest_is_the_newest(self, client: httpx.AsyncClient) -> None:
        await register(client, version="2")
        await register(client, version="1")
        assert (await client.get(f"{WORKFLOWS}/linear/latest")).json()["workflow_version"] == "1"

    @pytest.mark.parametrize("path", ["nothing/latest", "nothing/1.0.0", "linear/9"])
    @pytest.mark.parametrize("part", ["", "/graph"])
    async def test_unknown_version_is_not_found(self, client: httpx.AsyncClient, path: str, part: str) -> None:
        await register(client)
        response = await client.get(f"{WORKFLOWS}/{path}{part}")
        assert (response.status_code, code(response)) == (404, "not-found")

    @pytest.mark.parametrize(("path", "place"), [("Linear/1", "name"), ("linear/a b", "version"), ("a__b/1", "name")])
    async def test_bad_name_is_refused(self, client: httpx.AsyncClient, path: str, place: str) -> None:
        assert pointers(await client.get(f"{WORKFLOWS}/{path}")) == [place]

    @pytest.mark.parametrize("accept", ["application/yaml", "text/yaml", "application/x-yaml;q=0.5, */*;q=0.1"])
    async def test_yaml_comes_back_as_it_was_sent(self, client: httpx.AsyncClient, accept: str) -> None:
        registered = (await client.post(WORKFLOWS, content=LINEAR_YAML, headers=YAML)).json()
        response = await client.get(address(registered), headers={"Accept": accept})
        assert response.headers["content-type"].startswith("application/yaml")
        assert (response.text, response.headers["vary"]) == (LINEAR_YAML, "Accept")

    async def test_yaml_of_json_says_the_same(self, client: httpx.AsyncClient) -> None:
        document = workflow(description="10:30", variables={"on": "yes", "0": "2025-01-15", "e": 1e30, "n": None})
        registered = (await client.post(WORKFLOWS, json=document)).json()
        response = await client.get(address(registered), headers={"Accept": "application/yaml"})
        assert read_yaml(response.text) == document
        again = await client.post(WORKFLOWS, content=response.text, headers=YAML)
        assert (again.status_code, again.json()) == (200, registered)


class TestGetWorkflowGraph:
    async def test_steps_and_edges_are_told(self, client: httpx.AsyncClient) -> None:
        graph = (await client.get(address(await register(client), "graph"))).json()
        assert graph["nodes"][0] == {"id": "extract", "task_id": "extract", "operator_type": "task", "scope": ""}
        assert graph["edges"] == [{"from": "extract", "to": "load", "kind": "dependency", "label": None}]

    @pytest.mark.parametrize("accept", ["text/plain", "text/vnd.mermaid"])
    async def test_text_is_a_mermaid_flowchart(self, client: httpx.AsyncClient, accept: str) -> None:
        response = await client.get(address(await register(client), "graph"), headers={"Accept": accept})
        assert response.headers["content-type"].startswith(accept)
        assert response.text == 'flowchart TD\n  s0["extract"]\n  s1["load"]\n  s0 --> s1\n'


class TestDiffWorkflowVersions:
    async def compare(self, client: httpx.AsyncClient, **query: str) -> httpx.Response:
        return await client.get(f"{WORKFLOWS}/linear/diff", params=query)

    async def test_differences_are_told_step_by_step(self, client: httpx.AsyncClient) -> None:
        await register(client, task("a"), task("b", "a"), description="old")
        await register(client, task("a", args=[1]), task("c", "a"), version="2")
        response = await self.compare(client, **{"from": "1.0.0", "to": "2"})
        assert response.json() == {
            "workflow_name": "linear",
            "from": "1.0.0",
            "to": "2",
            "added": ["c"],
            "removed": ["b"],
            "changed": [{"step": "a", "changes": [{"pointer": "/args", "before": None, "after": [1]}]}],
            "workflow": [{"pointer": "/description", "before": "old", "after": None}],
        }

    async def test_later_version_is_the_newest_unless_it_is_named(self, client: httpx.AsyncClient) -> None:
        await register(client)
        await register(client, version="2")
        assert (await self.compare(client, **{"from": "1.0.0"})).json()["to"] == "2"

    async def test_earlier_version_has_to_be_named(self, client: httpx.AsyncClient) -> None:
        assert pointers(await self.compare(client)) == ["from"]

    @pytest.mark.parametrize("query", [{"from": "9"}, {"from": "1.0.0", "to": "9"}])
    async def test_unknown_version_is_not_found(self, client: httpx.AsyncClient, query: dict[str, str]) -> None:
        await register(client)
        assert code(await self.compare(client, **query)) == "not-found"


class TestDeleteWorkflow:
    async def test_version_is_gone_and_others_stay(self, client: httpx.AsyncClient) -> None:
        old, new = await register(client), await register(client, version="2")
        assert (await client.delete(address(new))).status_code == 204
        assert code(await client.get(address(new))) == "not-found"
        assert (await client.get(f"{WORKFLOWS}/linear")).json()["latest"] == old["workflow_version"]

    async def test_deleted_version_can_be_registered_with_other_content(self, client: httpx.AsyncClient) -> None:
        await client.delete(address(await register(client)))
        await register(client, description="other")

    @pytest.mark.parametrize("version", ["9", "latest"])
    async def test_unknown_version_is_not_found(self, client: httpx.AsyncClient, version: str) -> None:
        await register(client)
        assert code(await client.delete(f"{WORKFLOWS}/linear/{version}")) == "not-found"

    async def test_version_that_runs_execute_stays(self, client: httpx.AsyncClient) -> None:
        registered = await register(client)
        run = (await client.post(address(registered, "runs"))).json()
        response = await client.delete(address(registered))
        assert (response.status_code, code(response)) == (409, "move-not-allowed")
        assert run["workflow_run_id"] in response.json()["detail"]
        assert response.json()["current"] == registered
        await client.post(f"{RUNS}/{run['workflow_run_id']}/cancel")
        assert (await client.delete(f"{RUNS}/{run['workflow_run_id']}")).status_code == 204
        assert (await client.delete(address(registered))).status_code == 204
