"""All statements of the store, for those who look at each of them."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase

from app import store


class Statement(NamedTuple):
    """A statement that is built once, and where it stands."""

    module: str
    name: str
    value: Any

    def __str__(self) -> str:
        """Return what it is called: `tasks._LOCK`."""
        return f"{self.module}.{self.name}"


def all_statements() -> Iterator[Statement]:
    """Yield the constants of the store that are statements, by module, in the order in which they stand there."""
    for module in pkgutil.iter_modules(store.__path__):
        for name, value in vars(import_module(f"{store.__name__}.{module.name}")).items():
            if name.isupper() and isinstance(value, SelectBase | UpdateBase):
                yield Statement(module.name, name, value)
