"""How programs are compiled: `jax.jit` and `eqx.filter_jit` with what this installation needs.

jaxlib 0.10.2 and 0.11.0 hand elementwise products and sums to YNNPACK on CPU. There
`jit(vmap(lambda row: sum((M @ row) ** 2)))` has a wrong last row for 32,769 rows and M of shape
(3, 3) (jax-ml/jax#39103, 0.10.2), and products of rank 7 crash or hang (#39257, #40412, both).
Without that fusion all are right. On a GPU, and with other versions, nothing is changed.
"""

import functools
import types
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state
from jaxlib.version import __version__

FUSES_WRONGLY = ("0.10.2", "0.11.0")
"""Versions of jaxlib whose fusions on CPU are wrong."""
WITHOUT_FUSION = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""No kind of fusion: the one value that a compiled program takes; `-kind` is for `XLA_FLAGS`."""


def compiler_options(platform: str, version: str = __version__) -> Mapping[str, str] | None:
    """What XLA is told on a platform ("cpu", "gpu", ...) with a version of jaxlib."""
    return WITHOUT_FUSION if platform == "cpu" and version in FUSES_WRONGLY else None


class Compiled:
    """A compiled function, with the options of its platform where nothing is around it.

    Under another transformation (`jit`, `grad`, `vmap`, `scan`) it is compiled without: an inner
    program may have no options, and the outermost one decides for all that is in it.
    """

    def __init__(self, function: Callable[..., Any], compiler: Callable[..., Any]) -> None:
        """Nothing is compiled, and no device is looked for, before the first call."""
        functools.update_wrapper(self, function)
        self._function, self._compiler = function, compiler
        self._programs: dict[str | None, Callable[..., Any]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's value."""
        return self._program(_platform(args, kwargs))(*args, **kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """The method of an instance."""
        del owner
        return self if instance is None else types.MethodType(self, instance)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        """The program for these arguments, not yet compiled."""
        return self._program(_platform(args, kwargs)).lower(*args, **kwargs)  # pyright: ignore[reportFunctionMemberAccess]

    def _program(self, platform: str | None) -> Callable[..., Any]:
        if platform not in self._programs:
            options = None if platform is None else compiler_options(platform)
            given = {} if options is None else {"compiler_options": dict(options)}
            self._programs[platform] = self._compiler(self._function, **given)
        return self._programs[platform]


def jit(function: Callable[..., Any], *, donate_argnums: int | tuple[int, ...] = ()) -> Compiled:
    """`jax.jit` with the options of the platform."""
    return Compiled(function, functools.partial(jax.jit, donate_argnums=donate_argnums))


def filter_jit(function: Callable[..., Any]) -> Compiled:
    """`eqx.filter_jit` with the options of the platform."""
    return Compiled(function, eqx.filter_jit)


def _state() -> Any:
    """What JAX traces at the moment, as something to compare."""
    return get_opaque_trace_state()


@functools.cache
def _nothing() -> Any:
    """The state where nothing is traced: that of a new thread, whatever this one does."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_state).result()


def _platform(args: Any, kwargs: Any) -> str | None:
    """Where a call will run; None where it is part of another program."""
    if _state() != _nothing():
        return None
    arrays = [leaf for leaf in jax.tree.leaves((args, kwargs)) if isinstance(leaf, jax.Array)]
    if any(isinstance(array, Tracer) for array in arrays):
        return None
    placed = {device.platform for array in arrays if array.committed for device in array.devices()}
    default: Any = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return (
        placed.pop() if placed else getattr(default, "platform", default) or jax.default_backend()
    )
