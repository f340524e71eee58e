"""The objectives by discovery: a module named like the function that it defines."""

import ast
import importlib
import inspect
import math
import pkgutil
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import tightbound.objectives as package
from tightbound.errors import UsageError
from tightbound.objectives.abstract import AbstractObjective

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
            told = [_section(doc, title) for title in SECTIONS]
            entries[name] = Entry(name, make, summary, *told)
    return entries


def build(name: str, *values: Any, **options: Any) -> AbstractObjective:
    """The objective of that name with those options, the first of them in order if unnamed.

    Raises:
        UsageError: An unknown name, an option that it does not take, or one that it lacks.
    """
    entries = all_objectives()
    if name not in entries:
        raise UsageError(f"expected an objective out of {', '.join(entries)}, got {name!r}")
    entry = entries[name]
    if len(values) > len(entry.options):
        raise UsageError(f"the objective {name} takes {', '.join(entry.options)}, and no more")
    options = dict(zip(entry.options, values, strict=False)) | options
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


def parse(text: str) -> AbstractObjective:
    """The objective that a call in Python's syntax makes: "piwae(m=8, k=8, gradient='dreg')".

    Arguments are numbers, strings, lists, tuples, and calls of objectives; nothing is evaluated.

    Raises:
        UsageError: Another syntax, an unknown name, or options that the objective does not take.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"expected a call such as iwae(k=50), got {text!r}") from error
    if not isinstance(tree, ast.Call):
        raise UsageError(f"expected a call such as iwae(k=50), got {text!r}")
    return _value(tree)


def _value(node: ast.expr) -> Any:
    """The value of an argument, or the objective of a call."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        if all(keyword.arg is not None for keyword in node.keywords):
            named = {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
            return build(node.func.id, *map(_value, node.args), **named)
    elif isinstance(node, ast.List | ast.Tuple):
        return (list if isinstance(node, ast.List) else tuple)(map(_value, node.elts))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand)
        if isinstance(number, int | float):
            return -number
    elif isinstance(node, ast.Constant):
        return node.value
    elif isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    raise UsageError(
        f"expected numbers, strings, lists and calls of objectives, got {ast.unparse(node)!r}"
    )


def _section(doc: str, title: str) -> str:
    """A titled paragraph of a module's docstring, on one line."""
    found = re.search(rf"^{title}: (.*?)(?=^\w+: |\n\n|\Z)", doc, re.MULTILINE | re.DOTALL)
    return " ".join(found.group(1).split()) if found else ""
