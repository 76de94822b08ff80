"""Calls about queues and events."""

from dataclasses import replace
from typing import Unpack

from milepost.client.calls import Call, Operation, Paging, change, delete, get, post
from milepost.client.encoding import NOT_GIVEN, write_body, write_path, write_query
from milepost.client.fields import Id, PageFields, QueueFields
from milepost.schemas.queues import EmittedEvent, Event, EventPage, Queue, QueuePage

QUEUES = "/v1/queues"
QUEUE = QUEUES + "/{}"
EVENTS = QUEUE + "/events"


class QueueCalls:
    """Every operation on queues and their events."""

    @Operation
    def list_queues(self, **query: Unpack[PageFields]) -> Call[QueuePage]:
        """List the queues by name."""
        return get(QUEUES, QueuePage, **query)

    @Operation
    def get_queue(self, queue: str) -> Call[Queue]:
        """Return a queue with its limits, its depth and the workers seen."""
        return get(write_path(QUEUE, queue), Queue)

    @Operation
    def put_queue(self, queue: str, **settings: Unpack[QueueFields]) -> Call[Queue]:
        """Make a queue or set all its limits; what is not given gets its default."""
        return change("PUT", write_path(QUEUE, queue), Queue, settings)

    @Operation
    def update_queue(self, queue: str, **changes: Unpack[QueueFields]) -> Call[Queue]:
        """Change limits of a queue; what is not given stays, None removes a limit."""
        return change("PATCH", write_path(QUEUE, queue), Queue, changes)

    @Operation
    def delete_queue(self, queue: str) -> Call[None]:
        """Delete a queue."""
        return delete(write_path(QUEUE, queue))

    @Operation
    def sign_off_worker(self, queue: str, worker_id: str) -> Call[None]:
        """Say that a worker stops in good order: until it claims again it counts as gone. Its leases stay."""
        return delete(write_path(QUEUE + "/workers/{}", queue, worker_id), repeatable=True)

    @Operation
    def emit_event(
        self, queue: str, event_name: str, payload: object = NOT_GIVEN, *, workflow_run_id: Id | None = None
    ) -> Call[EmittedEvent]:
        """Emit an event; the first emit counts, and its payload stays."""
        content = write_body({"payload": payload}, workflow_run_id=workflow_run_id)
        return post(write_path(EVENTS + "/{}", queue, event_name), EmittedEvent, content, repeatable=True)

    @Operation
    def list_events(
        self, queue: str, *, workflow_run_id: Id | None = None, **query: Unpack[PageFields]
    ) -> Call[EventPage]:
        """List the events of a queue, or of one of its runs, oldest first."""
        return get(write_path(EVENTS, queue), EventPage, workflow_run_id=workflow_run_id, **query)

    @Operation
    def get_event(self, queue: str, event_name: str, *, workflow_run_id: Id | None = None) -> Call[Event]:
        """Return an event of a queue, or of one of its runs."""
        return get(write_path(EVENTS + "/{}", queue, event_name), Event, workflow_run_id=workflow_run_id)

    @Operation
    def delete_event(self, queue: str, event_name: str, *, workflow_run_id: Id | None = None) -> Call[None]:
        """Forget an event; the next emit of its name is the first again."""
        call = delete(write_path(EVENTS + "/{}", queue, event_name))
        return replace(call, query=write_query({"workflow_run_id": workflow_run_id}))

    iterate_queues = Paging(list_queues)
    iterate_events = Paging(list_events)
