"""The screens of workflows: graph, source, versions, trying one out, starting one, registering a file."""

import json
from pathlib import Path

from playwright.sync_api import expect

from milepost.client import Client
from tests.definitions import task, workflow
from tests.e2e.processes import Service
from tests.page import stories
from tests.page.conftest import OpenTab


class TestWorkflows:
    def test_a_file_is_checked_then_registered(self, open_tab: OpenTab, service: Service, tmp_path: Path) -> None:
        file = tmp_path / "filed.json"
        file.write_text(json.dumps(stories.etl("filed")))
        tab = open_tab("/workflows")
        tab.page.get_by_label("Register a file").set_input_files(file)
        tab.sees("valid", inside="dialog")
        assert service.http.get("/v1/workflows/filed").status_code == 404
        tab.press("Register", inside="dialog")
        tab.page.wait_for_url("**/workflows/filed/1.0.0")
        tab.sees("each_file")
        assert service.http.get("/v1/workflows/filed").status_code == 200

    def test_a_dropped_file_that_is_wrong_says_where(self, open_tab: OpenTab) -> None:
        tab = open_tab("/workflows")
        wrong = json.dumps(workflow(task("a", "nobody"), name="wrong"))
        tab.page.evaluate(
            """text => {
                const held = new DataTransfer()
                held.items.add(new File([text], 'wrong.json'))
                document.querySelector('.screen').dispatchEvent(
                    new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: held }))
            }""",
            wrong,
        )
        tab.sees("not valid", inside="dialog")
        tab.sees("/tasks/a/dependencies", inside="dialog")
        expect(tab.page.get_by_role("button", name="Register", exact=True)).to_be_disabled()

    def test_a_run_is_started_with_inputs(self, open_tab: OpenTab, service: Service) -> None:
        stories.register(service.http, stories.etl("started"))
        tab = open_tab("/workflows/started")
        tab.press("Start a run")
        tab.page.get_by_label("day", exact=True).fill("2026-01-31")
        tab.page.get_by_label("source", exact=True).fill('{"rows": 3}')
        tab.page.get_by_label("Queue of its work").fill("elsewhere")
        tab.press("Start", inside="dialog")
        tab.page.wait_for_url("**/runs/*")
        run = service.http.get(f"/v1/workflow-runs/{tab.page.url.rpartition('/')[2]}").json()
        assert run["inputs"] == {"day": "2026-01-31", "source": {"rows": 3}}
        assert run["queue"] == "elsewhere"

    def test_versions_are_compared(self, open_tab: OpenTab, service: Service) -> None:
        stories.register(service.http, stories.etl("compared"))
        later = stories.etl("compared", "1.1.0")
        later["tasks"]["mail"] = task("mail", "report")
        later["tasks"]["report"]["function"] = "jobs.report_all"
        stories.register(service.http, later)
        tab = open_tab("/workflows/compared?tab=versions")
        tab.sees("What changed")
        expect(tab.page.locator(".diff")).to_contain_text("step mail")
        expect(tab.page.locator(".diff del")).to_have_text("jobs.report")
        expect(tab.page.locator(".diff ins")).to_have_text("jobs.report_all")

    def test_the_source_is_what_was_sent(self, open_tab: OpenTab, service: Service) -> None:
        stories.register(service.http, stories.etl("sourced"))
        tab = open_tab("/workflows/sourced/1.0.0?tab=source")
        expect(tab.page.get_by_label("Source")).to_contain_text("jobs.load_file")

    def test_trying_out_draws_what_would_happen(self, open_tab: OpenTab, service: Service) -> None:
        stories.register(service.http, stories.etl("tried"))
        tab = open_tab("/workflows/tried?tab=simulate")
        expect(tab.page.locator(".simulate")).to_contain_text("completed")
        tab.page.get_by_role("button", name="check_n").click()
        tab.press("Let both.north.check_n fail")
        expect(tab.page.locator(".simulate")).to_contain_text("failed")
        expect(tab.page.locator(".graph-node", has_text="publish_n")).to_contain_text("upstream failed")
        expect(tab.page.locator(".graph-node", has_text="publish_s")).to_contain_text("completed")
        tab.page.reload()
        expect(tab.page.locator(".graph-node", has_text="publish_n")).to_contain_text("upstream failed")
        assert service.http.get("/v1/workflow-runs", params={"workflow_name": "tried"}).json()["items"] == []

    def test_containers_of_a_large_graph_are_folded_and_opened(self, open_tab: OpenTab, service: Service) -> None:
        loop = {
            "task_id": "loop",
            "operator_type": "foreach",
            "items": "[1]",
            "loop_body": [task("inner_one"), task("inner_two", "inner_one")],
        }
        steps = [task(f"step_{number}", *([f"step_{number - 1}"] if number % 20 else [])) for number in range(210)]
        stories.register(service.http, workflow(loop, *steps, name="large"))
        tab = open_tab("/workflows/large")
        tab.sees("containers folded")
        expect(tab.page.get_by_text("inner_one")).to_have_count(0)
        tab.press("Open loop")
        tab.sees("inner_one")
        tab.page.reload()
        tab.sees("inner_one")

    def test_a_run_that_failed_is_drawn_live_with_the_way_to_what_failed(
        self, open_tab: OpenTab, service: Service, client: Client
    ) -> None:
        stories.register(service.http, stories.etl("drawn"))
        run = stories.start(service.http, "drawn", queue="drawing")
        tab = open_tab(f"/runs/{run['workflow_run_id']}?tab=graph")
        extract = tab.page.locator(".graph-node", has_text="extract")
        expect(extract).to_contain_text("runnable")
        with stories.steps_worker(client, "drawing", broken=frozenset({"load_file"})):
            expect(extract).to_contain_text("completed")
            expect(tab.page.locator(".graph-node", has_text="load_file")).to_contain_text("failed, 5 of 5")
        expect(tab.page.locator(".graph-node.way", has_text="extract")).to_be_visible()
        tab.page.get_by_role("button", name="load_file").click()
        tab.sees("load_file found a file that it cannot read")
        tab.page.get_by_role("link", name="each_file[0].load_file").click()
        tab.page.wait_for_url("**/tasks/*")
        tab.sees("each_file[0].load_file")
