"""`python -m benchmarks`: measure, print, and after a full run write RESULTS.md."""

import argparse
from collections.abc import Callable, Mapping

from benchmarks.creates import measure_creates
from benchmarks.foreach import measure_foreach
from benchmarks.machine import describe_machine
from benchmarks.reads import measure_reads
from benchmarks.results import write_results
from benchmarks.stages import measure_stages
from benchmarks.tasks import measure_tasks

SECTIONS: Mapping[str, Callable[[float], str]] = {
    "creates": measure_creates,
    "stages": measure_stages,
    "reads": measure_reads,
    "tasks": measure_tasks,
    "foreach": measure_foreach,
}


def main() -> None:
    """Measure the sections that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the service on this machine.")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"some of {', '.join(SECTIONS)}; all if none")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one block of load (3)")
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    tables = {"machine": describe_machine()}
    print(tables["machine"], flush=True)
    for name in options.sections or SECTIONS:
        tables[name] = SECTIONS[name](options.seconds)
        print(f"\n{name}\n\n{tables[name]}", flush=True)
    if not options.sections:
        write_results(tables)


if __name__ == "__main__":
    main()
