"""Which operation a method and an address mean, found by a look-up for each part of the address."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from app.api.door import AnyText, Door, Entry, VersionOfWorkflow

Names = Mapping[str, str]
"""What stands in an address in the place of each of its parameters."""


class Found(NamedTuple):
    """What an address means: its operation, or the methods that it takes; neither where it means nothing."""

    entry: Entry | None
    names: Names
    methods: frozenset[str] = frozenset()


class _Branch:
    """The addresses that begin with the same parts."""

    __slots__ = ("entries", "named", "rest", "spelt")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        """What the address that ends here means, by method."""
        self.spelt: dict[str, _Branch] = {}
        self.named: dict[str, _Branch] = {}
        """Where any part may follow, by the pattern that it has to have; empty: any but an empty one."""
        self.rest: dict[str, Entry] = {}
        """Where everything may follow, by method."""

    def find(self, parts: Sequence[str], at: int) -> Iterator[tuple[dict[str, Entry], Sequence[str]]]:
        """Yield what the parts from ``at`` on can mean, with what stands for the names: what is spelt out first."""
        if at == len(parts):
            if self.entries:
                yield self.entries, ()
            return
        part = parts[at]
        if branch := self.spelt.get(part):
            yield from branch.find(parts, at + 1)
        for pattern, branch in self.named.items():
            if part and (not pattern or re.fullmatch(pattern, part)):
                for entries, values in branch.find(parts, at + 1):
                    yield entries, (part, *values)
        if self.rest:
            yield self.rest, ("/".join(parts[at:]),)


class Addresses:
    """All addresses of the service."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._root = _Branch()
        self._spelt_out: dict[str, dict[str, Entry]] = {}
        for entry in entries:
            self._add(entry)

    def find(self, method: str, address: str) -> Found:
        """Return what ``address`` means; one that is spelt out is never a name that another could hold."""
        spelt_out = self._spelt_out.get(address, {})
        if entry := spelt_out.get(method):
            return Found(entry, {})
        if spelt_out and not any(entry.door.leaves_other_methods for entry in spelt_out.values()):
            return Found(None, {}, frozenset(spelt_out))
        methods: set[str] = set()
        for entries, values in self._root.find(address.split("/"), 0):
            if entry := entries.get(method):
                return Found(entry, dict(zip(entry.door.param_convertors, values, strict=True)))
            methods.update(entries)
        return Found(None, {}, frozenset(spelt_out or methods))

    def _add(self, entry: Entry) -> None:
        door = entry.door
        entries = self._place_of(door) if door.param_convertors else self._spelt_out.setdefault(door.path, {})
        for method in door.methods or ():
            assert method not in entries, f"{method} {door.path} is declared twice"  # noqa: S101 - seen at the start
            entries[method] = entry

    def _place_of(self, door: Door) -> dict[str, Entry]:
        """Return where the operation of an address with names belongs."""
        branch = self._root
        for part in door.path.split("/"):
            name, _, kind = part.removeprefix("{").removesuffix("}").partition(":")
            if not part.startswith("{"):
                branch = branch.spelt.setdefault(part, _Branch())
            elif isinstance(door.param_convertors[name], AnyText):
                return branch.rest
            else:
                pattern = VersionOfWorkflow.regex if kind == "version" else ""
                branch = branch.named.setdefault(pattern, _Branch())
        return branch.entries
