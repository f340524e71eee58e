"""How programs are compiled: `jax.jit` and `eqx.filter_jit` with what this installation needs.

jaxlib 0.10 and 0.11.0 hand parts of programs to YNNPACK on CPU. In 0.10.2 and 0.11.0, where these
are sums of products, `jit(vmap(lambda row: sum((M @ row) ** 2)))` has a wrong last row for 32,769
rows and M of shape (3, 3) (jax-ml/jax#39103, 0.10.2), and seven axes crash or hang (#39257, #40412,
both). With no such parts all are right, and faster: by turns on two idle cores (digits, 200-200-50)
a training step of IWAE at k = 50 takes 0.95, an evaluation 0.97 and annealing 0.77 of the time by
default with jaxlib 0.10.0 and 0.10.1; with 0.10.2 annealing takes 0.78 (784 columns: 0.78) of the
time that it takes with plain matrix products handed over, which are right too. On a GPU, and with
other versions, nothing is changed.
"""

import functools
import importlib.metadata
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import equinox as eqx
import jax
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state

from tightbound.core.room import ROOM

JAXLIB = importlib.metadata.version("jaxlib")
FUSES_WRONGLY = ("0.10.2", "0.11.0")
"""Versions of jaxlib whose fusions on CPU are wrong."""
HANDS_OVER = ("0.10.0", "0.10.1", *FUSES_WRONGLY)
"""Versions that hand over at all, and have the option below."""
FUSION = "xla_cpu_experimental_ynn_fusion_type"
"""The option that says what may be handed over: names with commas between."""


def compiler_options(platform: str, version: str = JAXLIB) -> dict[str, str] | None:
    """What XLA is told, if anything: to hand nothing over.

    Args:
        platform: "cpu", "gpu" or another.
        version: Of jaxlib.
    """
    return {FUSION: ""} if platform == "cpu" and version in HANDS_OVER else None


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
        platform = _platform(args, kwargs)
        if platform is not None:
            ROOM.make()
        return self._program(platform)(*args, **kwargs)

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
            given = {} if options is None else {"compiler_options": options}
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
    default = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return (
        placed.pop() if placed else getattr(default, "platform", default) or jax.default_backend()
    )
