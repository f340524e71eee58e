"""The structure of models as plain JSON: written beside the arrays, compared, and rebuilt.

Networks of one's own are written by the import paths of their classes and functions, and rebuilt
with the consent of who loads them.
"""

import dataclasses
import inspect
import math
from collections.abc import Collection, Set
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tightbound.core.errors import UsageError
from tightbound.core.supports import COLUMNWISE, Support
from tightbound.objectives import Params
from tightbound.training.imports import check_consent, find, is_known, ours, path_of

OWN = "something of your own"
CHANGED = "{path} is not the code that was saved, pass like=(model, posterior)"


def is_array(leaf: Any) -> bool:
    """Whether a leaf is saved as an array: also those of NumPy, in networks of the user's own."""
    return isinstance(leaf, jax.Array | np.ndarray)


def describe(node: Any) -> Any:
    """A tree of modules as JSON; arrays by shape and dtype."""
    if isinstance(node, Params):
        return {"parts": [describe(part) for part in node]}
    if type(node) in (tuple, list):
        return {type(node).__name__: [describe(item) for item in node]}
    if type(node) is dict and all(isinstance(key, str) for key in node):
        return {"dict": {key: describe(item) for key, item in node.items()}}
    if isinstance(node, jax.Array | np.ndarray):
        return {"array": [list(node.shape), str(node.dtype)]}
    if isinstance(node, float) and not math.isfinite(node):
        return {"float": str(float(node))}
    if isinstance(node, Support) and COLUMNWISE.get(node) is not node:
        return {"own": f"the support {str(node)!r}"}
    if node is None or isinstance(node, bool | int | float | str):
        return {"value": node}
    kind = type(node)
    is_module = isinstance(node, eqx.Module)
    if is_module and ours().get(kind.__name__) is kind:
        return {"class": kind.__name__, "fields": _fields(node)}
    path = path_of(kind if is_module else node)
    if path is not None and is_module:
        # Left to the class by an `__init__` of its own: part of the tree's structure.
        left = [field.name for field in dataclasses.fields(node) if field.name not in vars(node)]
        return {"module": list(path), "fields": _fields(node), "defaults": left}
    if path is not None and callable(node) and not isinstance(node, type):
        return {"function": list(path)}
    return {"own": f"{kind.__module__}.{kind.__qualname__}"}


def _fields(node: Any) -> dict[str, Any]:
    return {field.name: describe(getattr(node, field.name)) for field in dataclasses.fields(node)}


def rebuild(node: Any, what: str, shapes: Set[tuple[int, ...]], trust: Collection[str] = ()) -> Any:
    """The tree that `describe` saw, with zeros for its arrays.

    Args:
        node: What `describe` gave.
        what: Where it is from, for errors.
        shapes: Those of the arrays there are; nothing is allocated for any other.
        trust: Modules and packages that may be imported.

    Raises:
        UsageError: A network of the user's own without consent or without an import path, or
            anything that `describe` does not write.
    """
    try:
        check_consent(node, what, trust)
        return _rebuilt(node, shapes, trust)
    except UsageError as error:
        said = str(error)
        raise UsageError(said if said.startswith(what) else f"{what}: {said}") from error
    except RecursionError:
        raise UsageError(f"{what} has a structure that is nested too deeply") from None
    except (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(f"{what} has a structure that does not fit: {reason}") from error


def _rebuilt(node: Any, shapes: Set[tuple[int, ...]], trust: Collection[str]) -> Any:
    inner = lambda node: _rebuilt(node, shapes, trust)  # noqa: E731
    match node:
        case {"parts": [model, posterior]}:
            return Params(inner(model), inner(posterior))
        case {"tuple": [*items]}:
            return tuple(map(inner, items))
        case {"list": [*items]}:
            return list(map(inner, items))
        case {"dict": dict(items)}:
            return {key: inner(item) for key, item in items.items()}
        case {"array": [shape, _]} if tuple(shape) not in shapes:
            raise ValueError(f"no array is {shape}")
        case {"array": [shape, dtype]}:
            return jnp.zeros(shape, jax.dtypes.canonicalize_dtype(dtype))
        case {"float": "nan" | "inf" | "-inf" as word}:
            return float(word)
        case {"value": None | bool() | int() | float() | str() as value}:
            return value
        case {"class": str(name), "fields": dict(fields)} if name in ours():
            return _ours(ours()[name], {key: inner(value) for key, value in fields.items()})
        case {
            "module": [str(module), str(name)],
            "fields": dict(fields),
            "defaults": [*left],
        }:
            kind = find(module, name, trust, kind="class")
            made = _filled(kind, {key: inner(value) for key, value in fields.items()}, left)
            if any(describe(getattr(made, key, None)) != fields.get(key) for key in left):
                raise UsageError(f"{CHANGED.format(path=f'{module}.{name}')}: other defaults")
            return made
        case {"function": [str(module), str(name)]}:
            return find(module, name, trust, kind="function")
        case _:
            found = repr(node)[:200]
            raise UsageError(f"a structure that this version does not know: {found}")


def _ours(kind: type, fields: dict[str, Any]) -> Any:
    """A module of ours, made as always, so that its own checks see the fields."""
    names = {field.name for field in dataclasses.fields(kind)}
    if "__init__" in vars(kind) and not names <= set(inspect.signature(kind).parameters):
        return _filled(kind, fields)
    return kind(**fields)


def _filled(kind: type, fields: dict[str, Any], left: Collection[str] = ()) -> Any:
    """A module with these fields; what its `__init__` does was done when it was first made."""
    names = {field.name for field in dataclasses.fields(kind)}
    if names != set(fields):
        raise UsageError(
            f"{CHANGED.format(path=f'{kind.__module__}.{kind.__qualname__}')}: fields "
            f"{', '.join(sorted(names))} for {', '.join(sorted(fields))}"
        )
    made = object.__new__(kind)
    for name, value in fields.items():
        if name not in left:
            object.__setattr__(made, name, value)  # as Equinox does: modules are frozen
    return made


def fixed(node: Any, name: str = "") -> dict[str, Any]:
    """What no array holds, such as classes and activations, by the name of its place."""
    match node:
        case {"value": value} | {"float": value}:
            return {name: value}
        case {"own": _}:
            return {name: OWN}
        case {"function": [module, function]}:
            return {name: f"{module}.{function}" if is_known(module, function) else OWN}
        case {"module": [module, kind], "fields": dict(fields)}:
            inner = {f"{name}.{key}": value for key, value in fields.items()}
            # One's own class may have moved to another module.
            own = {name: f"{module}.{kind}" if is_known(module, kind) else OWN}
        case {"class": kind, "fields": dict(fields)}:
            inner = {f"{name}.{key}": value for key, value in fields.items()}
            own = {name: kind}
        case {"parts": [model, posterior]}:
            inner, own = {"model": model, "posterior": posterior}, {}
        case {"tuple": list(items)} | {"list": list(items)}:
            inner, own = {f"{name}[{i}]": item for i, item in enumerate(items)}, {}
        case {"dict": dict(items)}:
            inner, own = {f"{name}[{key!r}]": item for key, item in items.items()}, {}
        case _:
            return {}
    for key, value in inner.items():
        own |= fixed(value, key)
    return own


def differences(saved: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """All entries in which two flat records differ, in words.

    Of what lies within a network of which one of them knows nothing more, none is counted.
    """
    absent = "absent"
    saved, now = _open(saved, now), _open(now, saved)
    return [
        f"{name} was {saved.get(name, absent)}, is {now.get(name, absent)}"
        for name in [*now, *(name for name in saved if name not in now)]
        if saved.get(name, absent) != now.get(name, absent)
    ]


def _open(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A flat record without what lies within networks that are closed in the other one."""
    within = lambda name, place: name.startswith((f"{place}.", f"{place}["))  # noqa: E731
    closed = [
        place
        for place, value in other.items()
        if value == OWN and not any(within(name, place) for name in other)
    ]
    return {n: v for n, v in one.items() if not any(within(n, place) for place in closed)}
