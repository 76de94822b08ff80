"""Which workflow run a task belongs to."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.links import find_link, place_of_link
from app.errors import ValidationFailed
from milepost.schemas.tasks import TaskSpec

ONE, TWO = UUID("01890000-0000-7000-8000-00000000abcd"), UUID("01890000-0000-7000-8000-00000000abce")
WAYS = ("path", "workflow_run_id", "params", "headers")


def spec_of(**links: UUID | str | None) -> TaskSpec:
    """Return a spec that is linked in the ways that are named."""
    body: dict[str, Any] = {"task_name": "a"}
    if links.get("workflow_run_id"):
        body["workflow_run_id"] = str(links["workflow_run_id"])
    for way in ("params", "headers"):
        if links.get(way):
            body[way] = {"workflow_run_id": str(links[way])}
    return TaskSpec.model_validate(body)


class TestFindLink:
    def test_nothing_links_to_nothing(self) -> None:
        assert find_link(spec_of(), None, "") is None

    @given(ways=st.sets(st.sampled_from(WAYS), min_size=1), shout=st.booleans())
    def test_any_ways_that_agree_link(self, ways: set[str], shout: bool) -> None:
        text = str(ONE).upper() if shout else str(ONE)
        spec = spec_of(**dict.fromkeys(ways - {"path"}, text))
        assert find_link(spec, ONE if "path" in ways else None, "") == ONE

    @given(pair=st.sets(st.sampled_from(WAYS), min_size=2, max_size=2))
    def test_two_that_disagree_are_refused(self, pair: set[str]) -> None:
        first, second = sorted(pair, key=WAYS.index)
        spec = spec_of(**{way: run_id for way, run_id in ((first, ONE), (second, TWO)) if way != "path"})
        with pytest.raises(ValidationFailed) as refused:
            find_link(spec, ONE if first == "path" else None, "/tasks/3")
        (error,) = refused.value.errors
        assert error.pointer == place_of_link(spec_of(**{second: TWO}), "/tasks/3")

    @pytest.mark.parametrize("value", ["", "x", str(ONE)[:-1], 7, True, 1.5, [str(ONE)], {}])
    @pytest.mark.parametrize("way", ["params", "headers"])
    def test_value_that_is_no_id_is_refused(self, way: str, value: Any) -> None:
        spec = TaskSpec.model_validate({"task_name": "a", way: {"workflow_run_id": value}})
        with pytest.raises(ValidationFailed) as refused:
            find_link(spec, None, "")
        assert [error.pointer for error in refused.value.errors] == [f"/{way}/workflow_run_id"]

    @pytest.mark.parametrize("params", [None, 1, "x", [], [{"workflow_run_id": "x"}], {"workflow_run_id": None}])
    def test_params_without_one_link_to_nothing(self, params: Any) -> None:
        assert find_link(TaskSpec(task_name="a", params=params), None, "") is None


class TestPlaceOfLink:
    @pytest.mark.parametrize(
        ("way", "place"),
        [
            ("workflow_run_id", "/workflow_run_id"),
            ("params", "/params/workflow_run_id"),
            ("headers", "/headers/workflow_run_id"),
        ],
    )
    def test_it_is_where_the_link_stands(self, way: str, place: str) -> None:
        assert place_of_link(spec_of(**{way: ONE}), "/tasks/0") == f"/tasks/0{place}"
