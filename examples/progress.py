"""A script that imports files, and shows how far it is.

Shows: a run whose progress is counted by its tasks. The script claims each task itself, so no worker is needed.

Run it, and look at the run meanwhile with `milepost runs list --name progress`:
    $ python progress.py orders.csv customers.csv prices.csv
"""

import sys

from milepost import Client


def load(file: str) -> int:
    """Do the work on one file; return the number of its rows."""
    return 100 * len(file)


def main(files: list[str]) -> None:
    """Import ``files``, each as a task of one run."""
    with Client() as client:
        run = client.create_workflow_run("progress", "1", task_count=len(files), deadline_seconds=3600)
        client.update_workflow_run_status(run.workflow_run_id, status="running")
        queue = f"progress-{run.workflow_run_id}"  # of its own: nobody else takes these tasks
        rows = 0
        for file in files:
            client.spawn_linked_task(run.workflow_run_id, "load", {"file": file}, queue=queue)
            (task,) = client.claim_tasks(queue, worker_id="progress.py", lease_seconds=600).tasks
            loaded = load(file)
            client.complete_task(task.task_id, task.lease_token, loaded)
            rows += loaded
            print(f"{client.get_workflow_run(run.workflow_run_id).progress.percent:.0f} %  {file}", flush=True)
        done = client.update_workflow_run_status(run.workflow_run_id, status="completed", result={"rows": rows})
        print(done.display_name, done.status, done.result)


if __name__ == "__main__":
    main(sys.argv[1:])
