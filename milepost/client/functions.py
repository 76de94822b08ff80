"""Functions of a module as handlers, for the tasks that the steps of a definition name them by."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from milepost.client.context import AnyContext
from milepost.client.signals import NonRetryable

Function = Callable[..., Any]
CONTEXT = "ctx"
"""The keyword-only parameter by which a function asks for the context of its task."""
ARGUMENTS = frozenset({"args", "kwargs"})


def find_functions(module: ModuleType) -> Mapping[str, Function]:
    """Return the public functions of ``module`` by the names of their tasks, such as ``etl.extract_data``.

    Public is what ``__all__`` names; without it, what is defined in the module and does not begin with ``_``.
    """
    public = getattr(module, "__all__", None)
    if public is None:
        public = [name for name, value in vars(module).items() if name[0] != "_" and _is_defined_in(module, value)]
    values = {f"{module.__name__}.{name}": getattr(module, name) for name in public}
    return {name: value for name, value in values.items() if callable(value) and not isinstance(value, type)}


def _is_defined_in(module: ModuleType, value: object) -> bool:
    return getattr(value, "__module__", None) == module.__name__


def make_handler(name: str, function: Function) -> Function:
    """Return the handler for tasks named ``name``: it calls ``function`` with the arguments in their params."""
    calling = _Calling(name, function, _signature_of(function))
    if not _is_asynchronous(function):
        return calling.call

    async def call_and_await(ctx: AnyContext, params: Any) -> Any:
        return await calling.call(ctx, params)

    return call_and_await


def _signature_of(function: Function) -> inspect.Signature | None:
    """Return the signature, or None for one of those written in C that do not tell."""
    try:
        return inspect.signature(function)
    except ValueError:
        return None


def _is_asynchronous(function: Function) -> bool:
    """Return whether ``function`` is async, or an object that is called like one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


@dataclass(frozen=True, slots=True)
class _Calling:
    """A function, and how it is called for a task."""

    name: str
    function: Function
    signature: inspect.Signature | None

    def call(self, ctx: AnyContext, params: Any) -> Any:
        """Return what the function returns. Raises NonRetryable when it does not take the arguments of the task."""
        args, kwargs = self._read_arguments(params)
        if self._asks_for_context():
            kwargs = {**kwargs, CONTEXT: ctx}
        if self.signature is not None:
            try:
                self.signature.bind(*args, **kwargs)
            except TypeError as error:
                raise NonRetryable(f"{self.name}{self.signature} is not called as its step says: {error}") from None
        return self.function(*args, **kwargs)

    def _read_arguments(self, params: Any) -> tuple[list[Any], dict[str, Any]]:
        if isinstance(params, dict) and params.keys() <= ARGUMENTS:
            args, kwargs = params.get("args", []), params.get("kwargs", {})
            if isinstance(args, list) and isinstance(kwargs, dict):
                return args, kwargs
        raise NonRetryable(f'a task named {self.name} has params of the form {{"args": [...], "kwargs": {{...}}}}')

    def _asks_for_context(self) -> bool:
        asked = self.signature.parameters.get(CONTEXT) if self.signature else None
        return asked is not None and asked.kind is inspect.Parameter.KEYWORD_ONLY
