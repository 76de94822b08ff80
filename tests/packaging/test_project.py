"""What a stranger finds beside the code is there and true."""

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.rooms import PACKAGES
from tests.processes import ROOT, SCRIPTS

TEXTS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text())
    missing = [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()]
    assert missing == []


def test_every_room_is_told() -> None:
    told = set(re.findall(r"`((?:app|milepost)/[a-z]+)/`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert told == {
        str(place.parent.relative_to(ROOT)) for package in PACKAGES for place in (ROOT / package).glob("*/__init__.py")
    }


def test_every_rule_that_is_named_exists() -> None:
    named = set(re.findall(r"`?make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))
    assert named <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named


def test_hooks_run_tools_that_are_installed() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    gate = (ROOT / ".ci" / "run").read_text()
    assert hooks
    for hook in hooks:
        assert f"'{hook['name']}'" in gate
        assert (SCRIPTS / Path(hook["entry"].split()[0]).name).exists()


def test_forks_run_the_same_gate() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "gate.yml").read_text())
    assert [step.get("run") for step in workflow["jobs"]["gate"]["steps"]][-1] == "bash .ci/run"
