"""A worker without a library: five calls over plain HTTP, to be written down again in any language.

Shows: claim, heartbeat, checkpoint, complete, fail. Python's standard library is all that this needs.

Run it, and spawn tasks from another terminal; it ends when nothing came for ten seconds:
    $ python plain_http.py
    $ curl --json '{"queue": "plain", "task_name": "halve", "params": {"n": 42}}' http://127.0.0.1:8000/v1/tasks
    $ curl --json '{"queue": "plain", "task_name": "halve", "params": {"n": 43}}' http://127.0.0.1:8000/v1/tasks
"""

import json
import os
from typing import Any
from urllib.request import Request, urlopen

URL = os.environ.get("MILEPOST_URL", "http://127.0.0.1:8000")
HEADERS = {"Authorization": f"Bearer {os.environ.get('MILEPOST_API_KEY', 'none')}", "Content-Type": "application/json"}


def call(method: str, path: str, **body: Any) -> Any:
    """Send a call and return its answer; a refusal raises urllib's HTTPError."""
    with urlopen(Request(URL + path, json.dumps(body).encode(), HEADERS, method=method), timeout=90) as answer:
        return json.load(answer)


def work(task: dict[str, Any]) -> None:
    """Work one task under its lease."""
    path, lease = f"/v1/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
    n = task["params"]["n"]
    if n % 2:
        error = {"name": "OddNumber", "message": f"{n} cannot be halved"}
        failed = call("POST", f"{path}/fail", **lease, error=error, retryable=False)
        print(failed["status"], failed["error"]["message"], flush=True)
        return
    call("POST", f"{path}/heartbeat", **lease, lease_seconds=60, progress={"percent": 50})  # before long work
    half = task["checkpoints"].get("half")  # what an earlier attempt stored
    if half is None:
        half = call("PUT", f"{path}/checkpoints/half", **lease, state=n // 2)["state"]
    done = call("POST", f"{path}/complete", **lease, result={"half": half})
    print(done["status"], done["result"], flush=True)


def main() -> None:
    """Claim and work, one task after the other, until there is nothing to do."""
    claim = {"worker_id": "plain", "lease_seconds": 30, "wait_seconds": 10, "task_names": ["halve"]}
    while tasks := call("POST", "/v1/queues/plain/claim", **claim)["tasks"]:
        work(tasks[0])


if __name__ == "__main__":
    main()
