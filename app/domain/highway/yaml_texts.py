"""Documents as YAML, for those that were registered as JSON."""

from collections.abc import Mapping
from typing import Any

import yaml

_DUMPER: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper


class _Dumper(_DUMPER):  # type: ignore[misc]
    """Writes equal parts in full, each time."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that no part is written as an alias of another."""
        del data
        return True


def write_yaml(document: Mapping[str, Any]) -> str:
    """Return a YAML text that is read as ``document`` again, its members in their order."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
