"""The objectives by discovery: a module named like the function that it defines."""

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tightbound.core.calls import Call
from tightbound.core.names import check_objective, objective_call, objectives
from tightbound.objectives.contract import About, AbstractObjective

SECTIONS = ("Formula", "Direction", "Bias", "Reference")


class Entry(NamedTuple):
    """One objective, as `tightbound objectives` lists it."""

    name: str
    make: Callable[..., AbstractObjective]
    summary: str
    formula: str
    direction: str
    bias: str
    reference: str
    about: About

    @property
    def options(self) -> list[str]:
        """Names of the arguments."""
        return list(inspect.signature(self.make).parameters)

    def example(self) -> AbstractObjective:
        """An objective of this name, with the arguments that its file gives for one.

        Raises:
            UsageError: It needs arguments that its file does not give.
        """
        return make(Call(self.name, (), self.about.example))

    @property
    def call(self) -> str:
        """The call with its arguments and their defaults."""
        parameters = inspect.signature(self.make).parameters.values()
        shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in parameters]
        return f"{self.name}({', '.join(shown)})"


def all_objectives() -> dict[str, Entry]:
    """All objectives by name."""
    entries = {}
    for name, place in objectives().items():
        module = importlib.import_module(place.module)
        make = getattr(module, name)
        doc = module.__doc__ or ""
        summary = (make.__doc__ or "").splitlines()[0]
        told = (_section(doc, title) for title in SECTIONS)
        about = getattr(module, "ABOUT", About())
        entries[name] = Entry(name, make, summary, *told, about=about)
    return entries


def build(name: str, *values: Any, **options: Any) -> AbstractObjective:
    """The objective of that name with those options, the first of them in order if unnamed.

    Raises:
        UsageError: An unknown name, an option that it does not take, or one that it lacks.
    """
    return make(Call(name, values, options))


def make(call: Call) -> AbstractObjective:
    """The objective that a call makes; objectives among its arguments may be calls too.

    Raises:
        UsageError: An unknown name, or arguments that the objective does not take.
    """
    given = check_objective(call)
    return all_objectives()[call.name].make(**{name: _made(v) for name, v in given.items()})


def _made(value: Any) -> Any:
    if isinstance(value, Call):
        return make(value)
    return type(value)(map(_made, value)) if type(value) in (list, tuple) else value


def parse(text: str) -> AbstractObjective:
    """The objective that a name or a call makes: "iwae", "piwae(m=8, k=8, gradient='dreg')".

    A name alone stands for the usual arguments, as on the command line. Arguments are numbers,
    strings, lists, tuples, and calls of objectives; nothing is evaluated.

    Raises:
        UsageError: Another syntax, an unknown name, or options that the objective does not take.
    """
    return make(objective_call(text))


def _section(doc: str, title: str) -> str:
    """A titled paragraph of a module's docstring, on one line."""
    found = re.search(rf"^{title}: (.*?)(?=^\w+: |\n\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""
