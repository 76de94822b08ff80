"""Definitions executed live: each step stands where the simulation says it stands."""

import json
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from app.db.engine import Database
from app.domain.highway.document.texts import read_yaml
from tests.definitions import WORKFLOWS
from tests.playing import Player, child_definition
from tests.walks import DEFINITIONS, walk

EXAMPLES = Path(__file__).parents[1] / "domain" / "highway" / "examples"


def read_scenarios() -> dict[str, tuple[Any, Any]]:
    found = {}
    for file in sorted(EXAMPLES.glob("*.expect.json")):
        if file.name.startswith("REGISTER"):
            continue
        definition = read_yaml(file.with_name(file.name.replace(".expect.json", ".yaml")).read_text())
        for scenario in json.loads(file.read_text())["scenarios"]:
            found[f"{file.name.partition('.')[0]}: {scenario['name']}"] = (definition, scenario)
    return found


SCENARIOS = read_scenarios()


@pytest.mark.parametrize(("definition", "scenario"), SCENARIOS.values(), ids=SCENARIOS)
async def test_scenario_goes_live_as_it_is_simulated(
    client: httpx.AsyncClient, database: Database, definition: Any, scenario: Any
) -> None:
    for body in (definition, *map(child_definition, child_names(definition))):
        response = await client.post(WORKFLOWS, json=body)
        assert response.status_code == 201, response.text
    player = Player(client, database, definition)
    start, *actions = scenario["steps"]
    assert start["do"] == "start"
    await player.begin(scenario.get("inputs"))
    for action in actions:
        await player.take(action)
    final = {name: value for name, value in scenario["final"].items() if name != "result"}
    assert {name: player.final[name] for name in final} == final


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=DEFINITIONS)
async def test_whatever_happens_it_goes_live_as_it_is_simulated(
    client: httpx.AsyncClient, database: Database, definition: Any, seed: int
) -> None:
    for body in (definition, child_definition("child")):
        response = await client.post(WORKFLOWS, json=body)
        assert response.status_code == 201, response.text
    await walk(Player(client, database, definition), Random(seed))  # noqa: S311 - chance, not a secret


def child_names(definition: Any) -> set[str]:
    steps = definition["tasks"].values()
    return {child["workflow_name"] for step in steps for child in (step.get("children") or {}).values()}
