"""A worker as a process: it claims tasks and completes them over HTTP until it is stopped or killed.

Its arguments are the address of the service, the queue and its own name. What it was told is done it prints.
"""

import sys
import time

import httpx

CLAIM_SECONDS = 1


def work(http: httpx.Client, queue: str, name: str) -> None:
    """Claim and complete, again and again; after a broken call, the same once more."""
    claim = {"worker_id": name, "limit": 5, "lease_seconds": 1, "wait_seconds": CLAIM_SECONDS}
    done: list[dict[str, object]] = []
    while True:
        try:
            answer = http.post(f"/v1/queues/{queue}/complete", json={"tasks": done, "claim": claim})
        except httpx.TransportError:
            time.sleep(0.05)
            continue
        if answer.status_code != httpx.codes.OK:
            time.sleep(0.05)
            continue
        body = answer.json()
        for outcome in body["outcomes"]:
            if outcome["status"] == httpx.codes.OK:
                sys.stdout.write(f"{outcome['task_id']}\n")
        sys.stdout.flush()
        done = [
            {"task_id": task["task_id"], "lease_token": task["lease_token"], "result": name} for task in body["tasks"]
        ]


if __name__ == "__main__":
    address, queue, name = sys.argv[1:]
    with httpx.Client(base_url=address, timeout=20) as http:
        work(http, queue, name)
