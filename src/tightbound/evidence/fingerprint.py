"""What a program computes, in 32 bytes: its operations, their constants and their settings.

A function's name and its arrays do not tell what it does: two closures may hold the same arrays,
and lambdas have no names. Its trace does, on all of its domain, which values at some points do not.
A trace is the same in every process that has the same version of JAX. Where a program calls Python
while it runs, the trace does not say what comes back: its values are then asked too.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

HARMLESS = ("debug_callback", "debug_print")
"""Calls of Python that give nothing back."""
_ADDRESS = re.compile(r"0x[0-9a-f]+")


def fingerprint(function: Callable[..., Any], *args: Any) -> bytes:
    """The SHA-256 of a function's trace, and of its values where it calls Python.

    Args:
        function: Of arrays, traceable by JAX; arrays that it holds count with their values.
        *args: Arrays, of which the shapes and types count alone, unless the function calls Python.
    """
    digest = hashlib.sha256(jax.__version__.encode())
    closed = jax.make_jaxpr(function)(*args)
    calls: list[str] = []
    _write(digest, closed, calls)
    digest.update(repr(closed.out_avals).encode())
    if calls:
        _write_value(digest, jax.tree.leaves(function(*args)), calls)
    return digest.digest()


def _write(digest: Any, closed: ClosedJaxpr | Jaxpr, calls: list[str]) -> None:
    """Everything that a trace says: constants, operations, and between which of their results.

    Operations that call Python are added to `calls`.
    """
    jaxpr = closed.jaxpr if isinstance(closed, ClosedJaxpr) else closed
    numbers: dict[Any, int] = {}

    def name(variable: Any) -> str:
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval}"

    for constant in closed.consts if isinstance(closed, ClosedJaxpr) else ():
        _write_value(digest, constant, calls)
    for variable in (*jaxpr.constvars, *jaxpr.invars):
        digest.update(f"{name(variable)};".encode())
    for equation in jaxpr.eqns:
        kind = equation.primitive.name
        if "callback" in kind and kind not in HARMLESS:
            calls.append(kind)
        digest.update(f"{kind}(".encode())
        for given in equation.invars:
            if isinstance(given, Literal):
                _write_value(digest, given.val, calls)
            else:
                digest.update(f"{name(given)},".encode())
        for setting in sorted(equation.params):
            digest.update(f"{setting}=".encode())
            _write_value(digest, equation.params[setting], calls)
        digest.update(f"){[name(of) for of in equation.outvars]}".encode())
    for given in jaxpr.outvars:
        if isinstance(given, Literal):
            _write_value(digest, given.val, calls)
        else:
            digest.update(f"{name(given)};".encode())


def _write_value(digest: Any, value: Any, calls: list[str]) -> None:
    """A constant, or a setting of an operation."""
    if isinstance(value, ClosedJaxpr | Jaxpr):
        _write(digest, value, calls)
    elif isinstance(value, tuple | list):
        digest.update(f"{len(value)}[".encode())
        for part in value:
            _write_value(digest, part, calls)
    elif isinstance(value, set | frozenset):
        digest.update(repr(sorted(map(repr, value))).encode())
    elif isinstance(value, np.ndarray | np.generic | jax.Array):
        if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            value = jax.random.key_data(value)
        value = np.asarray(value)
        digest.update(f"{value.dtype}{value.shape}".encode() + value.tobytes())
    elif callable(value):
        # Rules of derivatives, which are traced where they are used.
        digest.update(getattr(value, "__name__", type(value).__name__).encode())
    else:
        digest.update(_ADDRESS.sub("", repr(value)).encode())
    digest.update(b";")
