"""What a program computes, in 32 bytes: its operations, their constants and their settings.

A function's name and its arrays do not tell what it does: two closures may hold the same arrays,
and lambdas have no names. Its trace does, on all of its domain, which values at some points do not.
A trace is the same in every process that has the same version of JAX.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from tightbound.core.errors import UsageError

HARMLESS = ("debug_callback", "debug_print")
"""Calls of Python that give nothing back."""
_ADDRESS = re.compile(r"0x[0-9a-f]+")


def fingerprint(function: Callable[..., Any], *args: Any) -> bytes:
    """The SHA-256 of a function's trace for arguments of these shapes.

    Args:
        function: Of arrays, traceable by JAX; arrays that it holds count with their values.
        *args: Arrays, of which the shapes and types count alone.

    Raises:
        UsageError: It calls Python while it runs, where no trace tells what comes back.
    """
    digest = hashlib.sha256(jax.__version__.encode())
    closed = jax.make_jaxpr(function)(*args)
    _write(digest, closed)
    digest.update(repr(closed.out_avals).encode())
    return digest.digest()


def _write(digest: Any, closed: ClosedJaxpr | Jaxpr) -> None:
    """Everything that a trace says: constants, operations, and between which of their results."""
    jaxpr = closed.jaxpr if isinstance(closed, ClosedJaxpr) else closed
    numbers: dict[Any, int] = {}

    def name(variable: Any) -> str:
        return f"{numbers.setdefault(variable, len(numbers))}:{variable.aval}"

    for constant in closed.consts if isinstance(closed, ClosedJaxpr) else ():
        _write_value(digest, constant)
    for variable in (*jaxpr.constvars, *jaxpr.invars):
        digest.update(f"{name(variable)};".encode())
    for equation in jaxpr.eqns:
        kind = equation.primitive.name
        if "callback" in kind and kind not in HARMLESS:
            raise UsageError(
                "resume= keeps what a model gave, and cannot tell whether it is still the same "
                f"one: it calls Python while it runs ({kind}), where it may do anything; leave "
                "resume out, or write its density in jax.numpy"
            )
        digest.update(f"{kind}(".encode())
        for given in equation.invars:
            if isinstance(given, Literal):
                _write_value(digest, given.val)
            else:
                digest.update(f"{name(given)},".encode())
        for setting in sorted(equation.params):
            digest.update(f"{setting}=".encode())
            _write_value(digest, equation.params[setting])
        digest.update(f"){[name(of) for of in equation.outvars]}".encode())
    for given in jaxpr.outvars:
        if isinstance(given, Literal):
            _write_value(digest, given.val)
        else:
            digest.update(f"{name(given)};".encode())


def _write_value(digest: Any, value: Any) -> None:
    """A constant, or a setting of an operation."""
    if isinstance(value, ClosedJaxpr | Jaxpr):
        _write(digest, value)
    elif isinstance(value, tuple | list):
        digest.update(f"{len(value)}[".encode())
        for part in value:
            _write_value(digest, part)
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
