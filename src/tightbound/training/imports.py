"""Classes and functions by name: ours and Equinox's always, others by import path with consent.

A file names what it is made of, and holds no code. A name leads to a class of modules or a
function that the named module defines itself, and to nothing else: no attribute of an attribute,
nothing that a module has imported from elsewhere, and no module is imported for which nobody has
vouched.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from tightbound.core.discovery import classes
from tightbound.core.errors import UsageError

TRUST = "TIGHTBOUND_TRUST"
"""The variable of the environment with modules to trust, separated by commas."""
ROOMS = ("distributions", "likelihoods", "models", "networks")
"""Folders of ours whose classes a file may name."""
FUNCTIONS = {
    "jax.nn": (
        "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
        "identity", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu",
        "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus", "sparse_sigmoid",
        "squareplus", "standardize", "swish", "tanh",
    ),
    "jax.numpy": (
        "abs", "arcsinh", "arctan", "cbrt", "cos", "cosh", "exp", "expm1", "flip", "log1p",
        "negative", "ravel", "reciprocal", "sign", "sin", "sinc", "sinh", "sqrt", "square",
        "squeeze", "tan", "tanh", "transpose",
    ),
}  # fmt: skip
"""Functions of one array that a file may name: what networks are made of."""


@cache
def ours() -> dict[str, type]:
    """Our own classes of modules by name."""
    return {name: kind for room in ROOMS for name, kind in classes(room, eqx.Module).items()}


@cache
def _layers() -> dict[str, type]:
    """Equinox's layers by name."""
    public = {name: v for name, v in vars(eqx.nn).items() if not name.startswith("_")}
    return {n: v for n, v in public.items() if isinstance(v, type) and issubclass(v, eqx.Module)}


@cache
def _functions() -> dict[tuple[str, str], Callable[..., Any]]:
    """The functions of others by module and name, as far as they are there."""
    found = {
        (module.__name__, name): getattr(module, name)
        for module in (jax.nn, jnp)
        for name in FUNCTIONS[module.__name__]
        if hasattr(module, name)
    }
    # Of a perceptron without one, a function without a name of its own.
    last = inspect.signature(eqx.nn.MLP.__init__).parameters["final_activation"].default
    return found | {("equinox.nn", "MLP final_activation"): last}


def path_of(thing: Any) -> tuple[str, str] | None:
    """Module and name of a class or function under which it can be found; None if there is none."""
    known = {id(f): path for path, f in _functions().items()}
    if id(thing) in known:
        return known[id(thing)]
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not (isinstance(module, str) and isinstance(name, str)):
        return None
    if _layers().get(name) is thing:
        return "equinox.nn", name
    # Somewhere within a function or another class, or replaced by something else.
    return (module, name) if vars(sys.modules.get(module, object)).get(name) is thing else None


def is_known(module: str, name: str) -> bool:
    """Whether it is found without consent."""
    return (module == "equinox.nn" and name in _layers()) or (module, name) in _functions()


def is_trusted(module: str, trust: Collection[str]) -> bool:
    """Whether it, or a package that it is in, is among those that somebody has vouched for."""
    return any(module == name or module.startswith(f"{name}.") for name in trust if name)


def find(module: str, name: str, trust: Collection[str], *, kind: str) -> Any:
    """The class of modules ("class") or the function ("function") of that name.

    Raises:
        UsageError: Nobody has vouched for the module, it cannot be imported, or it defines no such
            thing.
    """
    known = _layers().get(name) if kind == "class" else _functions().get((module, name))
    if module == "equinox.nn" and kind == "class" and known is not None:
        return known
    if kind == "function" and known is not None:
        return known
    if not is_trusted(module, trust):
        raise UsageError(f"nobody has vouched for the module {module}")
    try:
        found = vars(importlib.import_module(module)).get(name)
    except Exception as error:  # whatever the module does when it is run
        raise UsageError(f"importing {module} fails: {type(error).__name__}: {error}") from error
    is_class = isinstance(found, type)
    fits = issubclass(found, eqx.Module) if is_class else callable(found)
    defined = getattr(found, "__module__", None) == module
    if found is None or not (fits and defined and is_class == (kind == "class")):
        what = "class of Equinox modules" if kind == "class" else "function"
        raise UsageError(f"{module} defines no {what} {name!r}")
    return found


def check_consent(node: Any, what: str, trust: Collection[str]) -> None:
    """Refuses, before anything is imported, a description that needs consent or has no paths.

    Raises:
        UsageError: Names the modules, and the argument to pass.
    """
    paths, nameless = _foreign(node)
    if nameless:
        raise UsageError(
            f"{what} holds something of your own ({nameless[0]}) that no import path leads to, "
            "such as a lambda, a class within a function or a support: pass like=(model, posterior)"
        )
    wanted = dict.fromkeys(path for path in paths if not is_trusted(path[0], trust))
    if wanted:
        modules = tuple(dict.fromkeys(module for module, _ in wanted))
        raise UsageError(
            f"{what} holds something of your own ({', '.join(map('.'.join, wanted))}): to import "
            f"and run that code, pass trust={modules!r} or set {TRUST}={','.join(modules)}; or "
            "pass like=(model, posterior)"
        )


def _foreign(node: Any) -> tuple[list[tuple[str, str]], list[str]]:
    """Import paths of what is neither ours nor known, and the types of what has none."""
    paths: list[tuple[str, str]] = []
    nameless: list[str] = []
    match node:
        case {"own": str(name)}:
            nameless.append(name)
        case {"module": [str(module), str(name)]} | {"function": [str(module), str(name)]}:
            if not is_known(module, name):
                paths.append((module, name))
        case _:
            pass
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        more, without = _foreign(child)
        paths, nameless = paths + more, nameless + without
    return paths, nameless


def as_names(trust: str | Iterable[str]) -> tuple[str, ...]:
    """Names of modules to trust: those given, and those of the environment.

    Raises:
        UsageError: Something that is no module's name.
    """
    names = (trust,) if isinstance(trust, str) else tuple(trust)
    names += tuple(name.strip() for name in os.environ.get(TRUST, "").split(",") if name.strip())
    for name in names:
        if not (isinstance(name, str) and all(part.isidentifier() for part in name.split("."))):
            raise UsageError(f"expected modules to trust by name, as 'mypackage', got {name!r}")
    return names
