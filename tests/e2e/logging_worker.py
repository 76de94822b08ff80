"""A worker as a process whose handler says numbers, until a file is there; then it says so many more and ends.

Its arguments are the address of the service, the queue, and the file.
"""

import sys
import time
from pathlib import Path
from typing import Any

from milepost import Client, TaskContext, Worker

address, queue, file = sys.argv[1:]
worker = Worker(Client(address), queue=queue, wait_seconds=1, lease_seconds=60)


@worker.task("count")
def count(ctx: TaskContext, params: Any) -> int:
    """Say 0, 1, 2 ..."""
    number = 0
    while not Path(file).exists():
        ctx.log(str(number))
        number += 1
        time.sleep(0.01)
    return number


worker.run()
