"""`python -m benchmarks`: measure, print, and write the tables of a full run into RESULTS.md."""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial

from benchmarks.alone import measure_alone
from benchmarks.changes import measure_changes
from benchmarks.churn import measure_churn
from benchmarks.cores import measure_cores
from benchmarks.creates import measure_creates
from benchmarks.foreach import measure_foreach
from benchmarks.machine import describe_machine
from benchmarks.prefect import measure_prefect
from benchmarks.reads import measure_reads
from benchmarks.results import write_result
from benchmarks.seen import measure_seen
from benchmarks.stages import measure_stages
from benchmarks.tasks import measure_tasks
from benchmarks.waiting import measure_waiting

SECONDS = 1.0
CYCLES = 200_000


def find_sections(seconds: float, cycles: int) -> Mapping[str, Callable[[], str]]:
    """Return what can be measured, by name; each gives its tables."""
    return {
        "machine": describe_machine,
        "creates": partial(measure_creates, seconds),
        "stages": partial(measure_stages, seconds),
        "reads": partial(measure_reads, seconds),
        "seen": partial(measure_seen, seconds),
        "tasks": partial(measure_tasks, seconds),
        "alone": partial(measure_alone, seconds),
        "waiting": partial(measure_waiting, seconds),
        "cores": partial(measure_cores, seconds),
        "changes": partial(measure_changes, seconds),
        "churn": partial(measure_churn, cycles),
        "foreach": measure_foreach,
        "prefect": partial(measure_prefect, seconds),
    }


OPTIONAL = {"prefect"}
"""What is measured only when it is named: it needs the package index."""


def main() -> None:
    """Measure the sections that are named, or all."""
    names = ", ".join(find_sections(SECONDS, CYCLES))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the service on this machine.")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"some of {names}; all but prefect if none")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"length of one block of load ({SECONDS:g})")
    parser.add_argument("--cycles", type=int, default=CYCLES, help=f"tasks of the churn ({CYCLES})")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md, as a full run does anyway")
    options = parser.parse_args()
    sections = find_sections(options.seconds, options.cycles)
    if unknown := set(options.sections) - set(sections):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    for name in options.sections or [name for name in sections if name not in OPTIONAL]:
        began = time.monotonic()
        table = sections[name]()
        print(f"\n{name}, in {time.monotonic() - began:.0f} s\n\n{table}", flush=True)
        if options.write or not options.sections:
            write_result(name, table)


if __name__ == "__main__":
    main()
