"""Paths: where in a run a step, a scope or an iteration stands, such as `loop[0].fork.left.load`."""

import re

TOP = ""
"""Path of the run as a region, and of its top level as a scope."""
_NUMBER = re.compile(r"#\d+")
_NUMBERED = re.compile(r"#\d+(?=\.|$)")


def path_in(region: str, name: str) -> str:
    """Return the path of what is called ``name`` in the region at ``region``."""
    if not region:
        return name
    return f"{region}.{name}" if name else region


def path_near(near: str, region: str, name: str) -> str:
    """Return the path of what is called ``name`` in a region, as the step or scope at ``near`` means it.

    A handler may stand in its scope more than once, as `undo` and `undo#2`; what is inside of one means what is beside
    it there.
    """
    path = path_in(region, name)
    if "#" not in near:
        return path
    for number in reversed([*_NUMBERED.finditer(near, len(region))]):
        container = near[: number.end()]
        plain = path_in(region, name_in(region, container))
        if path.startswith(f"{plain}."):
            return container + path[len(plain) :]
    return path


def name_in(region: str, path: str) -> str:
    """Return the name in its region of the step or scope at ``path``, without the numbers of repeated handlers."""
    name = path[len(region) + 1 :] if region else path
    return _NUMBER.sub("", name) if "#" in name else name


def scope_of(path: str) -> str:
    """Return the path of the scope of the step at ``path``, or of the container of a branch: all but its own name."""
    return path.rpartition(".")[0]


def outer_region(region: str) -> str:
    """Return the path of the region around the iteration at ``region``."""
    return region[: region.rfind("]", 0, -1) + 1]


def loop_of(region: str) -> str:
    """Return the path of the loop whose iteration is at ``region``."""
    return region[: region.rfind("[")]
