"""One step for each file, all side by side, and a step that gathers what they returned.

Shows: a parallel `foreach` over a list that is known only when the run goes, written with highway-dsl.

Register what this program prints, let a worker call the functions, and start a run from another terminal:
    $ python fan_out.py | milepost workflows register -
    $ milepost worker --functions fan_out --queue fan_out
    $ milepost workflows start fan_out --queue fan_out --inputs '{"folder": "books"}' --wait
"""

from highway_dsl import WorkflowBuilder


def find_files(folder: str) -> list[str]:
    """Return the files of a folder."""
    return [f"{folder}/{name}.txt" for name in ("emma", "middlemarch", "ulysses")]


def measure(file: str) -> int:
    """Return the size of one file."""
    return len(file)


def gather(sizes: list[int]) -> dict[str, int]:
    """Return what the files come to together."""
    return {"files": len(sizes), "size": sum(sizes)}


if __name__ == "__main__":
    builder = (
        WorkflowBuilder("fan_out", version="1")
        .task("find", "fan_out.find_files", args=["{{inputs.folder}}"], result_key="files")
        .foreach(
            "each",
            items="{{files}}",
            loop_body=lambda body: body.task("measure", "fan_out.measure", args=["{{item}}"]),
            parallel=True,
            result_key="sizes",
        )
        .task("gather", "fan_out.gather", args=["{{sizes}}"], result_key="total")
    )
    print(builder.build().to_yaml())
