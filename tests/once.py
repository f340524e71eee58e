"""One step or bound of an objective by itself, with what it keeps at its start."""

import functools

import equinox as eqx
import jax

from tightbound.core.items import Items


def started(objective, parts, x):
    """What the objective keeps between steps, before the first of them."""
    return objective.init(parts, x.shape[0], jax.random.key(0))


def step(objective, parts, x, keys):
    """Gradients and reported numbers at data x, numbered from 0."""
    return objective.step(parts, started(objective, parts, x), Items.of(x), keys)[0]


def bound(objective, parts, x, keys):
    """The reported numbers alone."""
    return objective.bound(parts, started(objective, parts, x), Items.of(x), keys)


def compiled(objective):
    """`step` of the objective as a compiled function of parts, data and keys."""
    return eqx.filter_jit(functools.partial(step, objective))
