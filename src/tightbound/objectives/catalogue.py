"""The objectives by discovery: a module named like the function that it defines."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import tightbound.objectives as package
from tightbound.errors import UsageError
from tightbound.objectives.abstract import AbstractObjective


class Entry(NamedTuple):
    """One objective, as `tightbound objectives` lists it."""

    name: str
    make: Callable[..., AbstractObjective]
    summary: str
    bias: str
    reference: str

    @property
    def options(self) -> list[str]:
        """Names of the arguments."""
        return list(inspect.signature(self.make).parameters)

    @property
    def call(self) -> str:
        """The call with its arguments and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        return f"{self.name}({', '.join(shown)})"


def all_objectives() -> dict[str, Entry]:
    """All objectives by name."""
    entries = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        name = module_info.name
        module = importlib.import_module(f"{package.__name__}.{name}")
        make = getattr(module, name, None)
        if inspect.isfunction(make):
            doc = module.__doc__ or ""
            summary = (make.__doc__ or "").splitlines()[0]
            entries[name] = Entry(
                name, make, summary, _section(doc, "Bias"), _section(doc, "Reference")
            )
    return entries


def build(name: str, **options: Any) -> AbstractObjective:
    """The objective of that name with those options.

    Raises:
        UsageError: An unknown name, an option that it does not take, or one that it lacks.
    """
    entries = all_objectives()
    if name not in entries:
        raise UsageError(f"expected an objective out of {', '.join(entries)}, got {name!r}")
    entry = entries[name]
    unknown = [option for option in options if option not in entry.options]
    if unknown:
        raise UsageError(
            f"the objective {name} takes {', '.join(entry.options) or 'no options'}, "
            f"but not {', '.join(unknown)}"
        )
    parameters = inspect.signature(entry.make).parameters.values()
    lacking = [p.name for p in parameters if p.default is p.empty and p.name not in options]
    if lacking:
        raise UsageError(f"the objective {name} needs {', '.join(lacking)}")
    return entry.make(**options)


def _section(doc: str, title: str) -> str:
    """A titled paragraph of a module's docstring, on one line."""
    found = re.search(rf"^{title}: (.*?)(?=^\w+: |\n\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""
