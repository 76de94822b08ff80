"""Tasks that are put on a queue in SQL, to be claimed."""

from benchmarks.calls import QUEUE
from benchmarks.postgres import connect

_FILL = """
INSERT INTO tasks (task_id, run_id, queue, task_name, params, headers, priority, max_attempts, status, ready_at)
SELECT gen_random_uuid(), gen_random_uuid(), %s, 'count', '{"n": 1}', '{}', 0, 1, 'pending', now()
FROM generate_series(1, %s)
"""
_MAKE_QUEUE = "INSERT INTO queues (queue) VALUES (%s) ON CONFLICT DO NOTHING"
_DELETE_OPEN = "DELETE FROM tasks WHERE completed_at IS NULL"


def fill_queue(url: str, tasks: int) -> None:
    """Put ``tasks`` tasks on the queue, and leave no others there."""
    with connect(url) as database:
        database.execute(_MAKE_QUEUE, [QUEUE])
        database.execute(_DELETE_OPEN)
        database.execute(_FILL, [QUEUE, tasks])
        database.execute("VACUUM (ANALYZE) tasks")
