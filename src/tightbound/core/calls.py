"""Calls as text, "iwae(k=50)": read, never run, and held against a signature read from source.

Nothing here loads what it names, so that a wrong call is refused before anything else happens.
"""

import ast
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tightbound.core.errors import UsageError

LARGEST = 2**31 - 1
"""What counts are kept as, 32 bits, holds no more."""
DEEPEST = 20
"""Levels of calls, lists and signs within each other."""


class Call(NamedTuple):
    """A name with its arguments; an argument may be a call again."""

    name: str
    values: tuple[Any, ...] = ()
    options: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        """The call as it is written."""
        named = (f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.name}({', '.join([*map(repr, self.values), *named])})"


class Signature(NamedTuple):
    """What a function takes: annotations by argument, the required ones, and least numbers."""

    kinds: Mapping[str, ast.expr]
    required: tuple[str, ...]
    least: Mapping[str, int]


def parse(text: str, example: str) -> Call:
    """Reads a name, or a call in Python's syntax: "piwae(m=8, k=8, gradient='dreg')".

    Arguments are numbers, strings, True, False, None, lists, tuples and calls.

    Args:
        text: The name or call.
        example: A right one, for the error.

    Raises:
        UsageError: Another syntax, an argument given twice, or a nesting that is too deep.
    """
    wrong = f"expected a name or a call such as {example}, got {shortened(text)}"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    # Deep nesting ends the parser in one of the last two, depending on where it stands.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(wrong) from None
    if isinstance(tree, ast.Name):
        return Call(tree.id)
    if not isinstance(tree, ast.Call):
        raise UsageError(wrong)
    return _value(tree, DEEPEST)


def _value(node: ast.expr, depth: int) -> Any:
    if depth == 0:
        raise UsageError(f"expected at most {DEEPEST} calls, lists and signs within each other")
    match node:
        case ast.Call(ast.Name(name), args, keywords):
            return _call(name, args, keywords, depth)
        case ast.List(items):
            return [_value(item, depth - 1) for item in items]
        case ast.Tuple(items):
            return tuple(_value(item, depth - 1) for item in items)
        case ast.UnaryOp(ast.USub(), operand):
            number = _value(operand, depth - 1)
            if isinstance(number, int | float) and not isinstance(number, bool):
                return -number
        case ast.Constant(str() | bool() | int() | float() | None as value):
            return value
        case ast.Name("inf"):
            return math.inf
        case _:
            pass
    raise UsageError(
        f"expected numbers, quoted text, lists and calls as arguments, got {_source(node)}"
    )


def _call(name: str, args: list[ast.expr], keywords: list[ast.keyword], depth: int) -> Call:
    options = {}
    for keyword in keywords:
        if keyword.arg is None:
            raise UsageError(f"expected numbers, quoted text, lists and calls in {name}, got **")
        if keyword.arg in options:
            raise UsageError(f"{name} is given {keyword.arg} twice: leave one out")
        options[keyword.arg] = _value(keyword.value, depth - 1)
    return Call(name, tuple(_value(arg, depth - 1) for arg in args), options)


def shortened(text: str, *, quoted: bool = True) -> str:
    """The text, cut where it is long."""
    shown = text if len(text) <= 60 else f"{text[:50]} ... ({len(text)} characters)"
    return repr(shown) if quoted else shown


def _source(node: ast.expr) -> str:
    try:
        return shortened(ast.unparse(node))
    except RecursionError:
        return "a deep nesting"


@cache
def signature(path: Path, name: str) -> Signature:
    """The signature of a function at the top of a file, read without running the file.

    Least numbers are those that its body names outright, as in `at_least(1, k=k)`.
    """
    functions = (node for node in ast.parse(path.read_text(encoding="utf-8")).body)
    (made,) = (n for n in functions if isinstance(n, ast.FunctionDef) and n.name == name)
    positional = made.args.args
    arguments = [*positional, *made.args.kwonlyargs]
    lacking = len(positional) - len(made.args.defaults)
    required = [a.arg for a in positional[:lacking]]
    required += [
        a.arg
        for a, default in zip(made.args.kwonlyargs, made.args.kw_defaults, strict=True)
        if default is None
    ]
    least: dict[str, int] = {}
    for statement in made.body:
        match statement:
            case ast.Expr(ast.Call(ast.Name("at_least"), [ast.Constant(int(number))], keywords)):
                least |= {k.arg: number for k in keywords if k.arg is not None}
            case _:
                pass
    kinds = {a.arg: a.annotation or ast.Name("Any") for a in arguments}
    return Signature(kinds, tuple(required), least)


def bind(
    what: str, name: str, values: tuple[Any, ...], options: Mapping[str, Any], of: Signature
) -> dict[str, Any]:
    """All arguments by name, once each is of a kind that the function takes.

    Args:
        what: What is called, such as "objective", for errors.
        name: Its name.
        values: Arguments in order.
        options: Arguments by name.
        of: What it takes.

    Returns:
        The arguments by name.

    Raises:
        UsageError: Too many, unknown, doubled or lacking arguments, or one of another kind or
            below its least number.
    """
    taken = ", ".join(of.kinds) or "no options"
    if len(values) > len(of.kinds):
        raise UsageError(f"the {what} {name} takes {taken}, and no more")
    given = dict(zip(of.kinds, values, strict=False))
    if doubled := [option for option in options if option in given]:
        raise UsageError(f"{name} is given {doubled[0]} twice: leave one out")
    given |= options
    if strange := [option for option in given if option not in of.kinds]:
        raise UsageError(f"the {what} {name} takes {taken}, but not {', '.join(strange)}")
    if lacking := [option for option in of.required if option not in given]:
        call = f"{name}({', '.join(f'{option}=...' for option in lacking)})"
        raise UsageError(f"the {what} {name} needs {', '.join(lacking)}: write {call}")
    for option, value in given.items():
        kind = of.kinds[option]
        if not _is_of_kind(value, kind):
            came = shortened(repr(value), quoted=False)
            raise UsageError(f"expected {option} of {name} as {_in_words(kind)}, got {came}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise UsageError(f"expected {option} of {name} <= {LARGEST}, got a larger one")
        if option in of.least and value < of.least[option]:
            raise UsageError(f"expected {option} >= {of.least[option]}, got {value}")
    return given


def _is_of_kind(value: Any, kind: ast.expr) -> bool:
    """Whether an annotation allows the value; of classes, objects alone are taken on trust."""
    match kind:
        case ast.BinOp(left, ast.BitOr(), right):
            return _is_of_kind(value, left) or _is_of_kind(value, right)
        case ast.Constant(None):
            return value is None
        case ast.Name("int"):
            return isinstance(value, int) and not isinstance(value, bool)
        case ast.Name("float"):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return number and not math.isnan(value)
        case ast.Name("str" | "bool" as plain):
            return type(value).__name__ == plain
        case ast.Name("Any"):
            return True
        case ast.Name("AbstractObjective") if isinstance(value, Call):
            return True
        case ast.Subscript(ast.Name("tuple"), ast.Tuple([item, ast.Constant(value=last)])) if (
            last is ...
        ):
            return isinstance(value, list | tuple) and all(_is_of_kind(v, item) for v in value)
        case ast.Subscript(ast.Name("tuple"), ast.Tuple(items)):
            fits = isinstance(value, list | tuple) and len(value) == len(items)
            return fits and all(map(_is_of_kind, value, items))
        case ast.Subscript(ast.Name("Sequence"), item):
            return isinstance(value, list | tuple) and all(_is_of_kind(v, item) for v in value)
        case _:
            literal = str | bytes | int | float | list | tuple | dict | Call | None
            return not isinstance(value, literal)


_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a name in quotes",
    "bool": "True or False",
    "AbstractObjective": "a call such as elbo()",
    "tuple[int, ...]": "whole numbers such as (64, 64)",
    "tuple[float, float, int]": "(start, end, epochs)",
    "Sequence[Any]": "a list",
    "Sequence[str]": "a list of them",
    "Sequence[int]": "whole numbers such as (64, 64)",
    "None": "None",
}


def _in_words(kind: ast.expr) -> str:
    options = [kind]
    while isinstance(options[0], ast.BinOp):
        options[:1] = [options[0].left, options[0].right]
    known = [_WORDS[text] for text in map(ast.unparse, options) if text in _WORDS]
    return " or ".join(known) or ast.unparse(kind)
