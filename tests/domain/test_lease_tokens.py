"""Lease tokens tell whether they are those of work items."""

from uuid import UUID, uuid4

from app.domain.lease_tokens import is_of_step


class TestIsOfStep:
    def test_a_random_token_is_that_of_a_plain_task(self) -> None:
        assert not is_of_step(uuid4())

    def test_the_version_of_free_form_is_that_of_a_work_item(self) -> None:
        assert is_of_step(UUID("0197c2a4-6f10-8b2a-8c00-2f3e4d5c6b7a"))

    def test_what_is_no_proper_uuid_is_that_of_a_plain_task(self) -> None:
        assert not is_of_step(UUID(int=0))
