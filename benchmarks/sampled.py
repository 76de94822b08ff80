"""`python -m benchmarks.sampled FILE MODULE [ARGUMENT ...]`: run a module as a program that can be sampled."""

import runpy
import sys
from pathlib import Path

from benchmarks.sampling import Sampler


def main() -> None:
    """Run the module with the arguments behind it."""
    file, module, *arguments = sys.argv[1:]
    sys.argv[1:] = arguments
    Sampler(Path(file))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
