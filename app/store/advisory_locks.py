"""Kinds of advisory locks with two numbers: the first says what the second, a hash, is of.

Those of event names are of the other sort, with one number, and never in their way.
"""

KEYS_OF_CLAIMS = 1
"""Concurrency keys of tasks that are being claimed."""
KEYS_OF_SPAWNS = 2
"""Idempotency keys of tasks that are being spawned."""
KEYS_OF_REQUESTS = 4
"""Idempotency keys of requests that are done one at a time."""
GROUPS_OF_EVENT_NAMES = 5
"""Groups of event names: shared by who locks some of the names, locked by who locks many."""
NAMES_OF_SCHEDULED_WORKFLOWS = 3
"""Names of workflows whose own schedule is being kept."""
