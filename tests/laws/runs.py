"""What the laws look at: every case on two replicas at once, in one compiled program.

Compiling takes most of the time of these tests, so that cases share their draws in one program:
replica 0 has the exact posterior, replica 1 a wrong one.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from tests import once
from tests.cases import CASES
from tests.oracles import linear_gaussian
from tightbound.core.streams import item_keys
from tightbound.objectives import Params, Step

N = 7
EXACT, WRONG = 0, 1

# The quickest compilation; the programs are too small for the others to pay.
QUICK = {"xla_backend_optimization_level": 0}


def names(layers: int) -> list[str]:
    """The cases that exist for so many layers."""
    return [name for name, case in CASES.items() if layers in case.layers]


NAMES = [(name, layers) for layers in (1, 2) for name in names(layers)]


def two_layers_slow(names):
    """Cases by name and number of layers; those of two layers take a minute to compile."""
    slow = pytest.mark.slow
    return [pytest.param(*at, marks=slow) if at[1] == 2 else at for at in names]


def parts_of(replica: int, layers: int) -> Params:
    exact = linear_gaussian.exact_parts(layers)
    return exact if replica == EXACT else linear_gaussian.perturbed(exact)


@functools.cache
def both_parts(layers: int) -> Params:
    """Both replicas on a leading axis."""
    replicas = [parts_of(replica, layers) for replica in (EXACT, WRONG)]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *replicas)


def arrays_of_both(layers: int) -> Params:
    return eqx.filter(both_parts(layers), eqx.is_array)


def batch(n: int = N, *, seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """The first n items and their keys."""
    return jnp.asarray(linear_gaussian.data(20)[:n]), item_keys(jax.random.key(seed), jnp.arange(n))


@functools.cache
def program(layers: int):
    """(arrays of parts, x, keys), all with a leading axis of replicas, to the steps of all cases.

    Each step may be traced once: a second trace raises.
    """
    steps = {
        name: eqx.debug.assert_max_traces(
            functools.partial(once.step, CASES[name].objective), max_traces=1
        )
        for name in names(layers)
    }

    rest = eqx.partition(both_parts(layers), eqx.is_array)[1]

    def all_steps(arrays: Params, x: jax.Array, keys: jax.Array) -> dict[str, Step]:
        parts = eqx.combine(arrays, rest)
        return {name: step(parts, x, keys) for name, step in steps.items()}

    return jax.jit(jax.vmap(all_steps), compiler_options=QUICK)


def repeat(tree):
    """The same for both replicas."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), tree)


@functools.cache
def steps(layers: int, *, seed: int = 0) -> dict[str, Step]:
    """The steps of all cases on both replicas."""
    x, keys = batch(seed=seed)
    return program(layers)(arrays_of_both(layers), repeat(x), repeat(keys))


def step_of(replica: int, name: str, layers: int, *, seed: int = 0) -> Step:
    """The step of one case on one replica."""
    return jax.tree.map(lambda leaf: leaf[replica], steps(layers, seed=seed)[name])
