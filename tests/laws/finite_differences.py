"""Compares gradients with finite differences in float64, and prints the largest errors as JSON.

Run in a process of its own with JAX_ENABLE_X64=1. The noise is fixed by the keys. What is
differenced are the terms that an estimator weighs, each with its own copy of the parameters:

    sum_i model_i log p_theta(x, z_i) + path_i log w(z_i(phi)) + score_i log q_phi(z_i)

For the total derivative a second difference is taken, of the reported bound itself.
"""

import json
import sys
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from tests import once
from tests.cases import CASES
from tightbound.core.streams import item_keys
from tightbound.models import autoencoder
from tightbound.models.weights import log_joint, log_q, log_weights, sample, split_each
from tightbound.objectives import Params
from tightbound.objectives.multisample.multisample import Multisample

N, STEP = 2, 1e-5
MOST = 6
"""Most draws of any case."""


def build(layers: int, likelihood: str) -> tuple[Params, jax.Array]:
    """A small autoencoder with hidden units and its data, both in float64."""
    x = np.random.default_rng(5).random((N, 3))
    x = x.round() if likelihood == "bernoulli" else x
    parts = Params(
        *autoencoder(x, latent=2, hidden=(3,), layers=layers, likelihood=likelihood, key=4)
    )
    parts = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, parts)
    return parts, jnp.asarray(x)


def differences(function: Any, at: Any) -> Any:
    """Central differences of a function of a tree, along all its coordinates."""
    arrays, rest = eqx.partition(at, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)

    def one(move: jax.Array) -> Any:
        points = jnp.stack([flat + move, flat - move])
        both = jax.vmap(lambda point: function(eqx.combine(unravel(point), rest)))(points)
        return jax.tree.map(lambda value: (value[0] - value[1]) / (2 * STEP), both)

    return jax.lax.map(one, STEP * jnp.eye(len(flat)))


class Terms(NamedTuple):
    """What an estimator weighs, for each datum and draw."""

    model: jax.Array
    path: jax.Array
    score: jax.Array


def terms(parts: Params, at: Params, x: jax.Array, draw_keys: jax.Array) -> Terms:
    """The three terms; `parts` enter each of them in its own way and stay as in `at` elsewhere."""
    z, _ = sample(at.posterior, x, draw_keys)
    moved, _ = sample(parts.posterior, x, draw_keys)
    path = log_joint(at.model, x, moved) - log_q(at.posterior, x, moved)
    return Terms(log_joint(parts.model, x, z), path, log_q(parts.posterior, x, z))


def estimator(objective: Multisample, log_w: jax.Array, slopes: Terms) -> jax.Array:
    """The estimator by definition: its weights on the terms' slopes of shape (parameter, n, k)."""
    weights = objective.coefficients(log_w)
    total = weights.model * slopes.model
    if weights.path is not None:
        total = total + weights.path * slopes.path
    if weights.score is not None:
        total = total + weights.score * slopes.score
    return -jnp.sum(total, axis=(1, 2)) / N


def error(grads: Params, truth: jax.Array) -> float:
    """The largest difference, relative to the largest gradient."""
    assert truth.dtype == jnp.float64
    flat = ravel_pytree(grads)[0]
    return float(jnp.max(jnp.abs(flat - truth)) / jnp.max(jnp.abs(truth)))


def main() -> None:
    """All estimators on the numbers of layers that the command line names."""
    errors = {}
    keys = item_keys(jax.random.key(2), jnp.arange(N))
    for layers in map(int, sys.argv[1:]):
        likelihood = {1: "bernoulli", 2: "gaussian_unit_mean"}[layers]
        parts, x = build(layers, likelihood)
        objectives = {
            name: case.objective
            for name, case in CASES.items()
            if layers in case.layers and not case.at_random
        }
        of_bound = {name for name in objectives if CASES[name].total}

        arrays, rest = eqx.partition(parts, eqx.is_array)

        def compared(
            arrays: Params,
            x: jax.Array,
            rest: Any = rest,
            objectives: Any = objectives,
            of_bound: Any = of_bound,
        ):
            parts, draw_keys = eqx.combine(arrays, rest), split_each(keys, MOST)

            def moving(p: Params) -> tuple[Terms, dict[str, jax.Array]]:
                bounds = {n: once.bound(objectives[n], p, x, keys) for n in of_bound}
                return terms(p, parts, x, draw_keys), bounds

            slopes, bound_slopes = differences(moving, parts)
            log_w = log_weights(parts.model, parts.posterior, x, draw_keys)
            truths = {f"{n}-of-bound": -jnp.mean(s, axis=1) for n, s in bound_slopes.items()}
            for name, objective in objectives.items():
                if isinstance(objective, Multisample):
                    # Fewer draws are the first of more.
                    first = jax.tree.map(lambda a, k=objective.k: a[..., :k], (log_w, slopes))
                    truths[name] = estimator(objective, *first)
            return {n: once.step(o, parts, x, keys).grads for n, o in objectives.items()}, truths

        options = {"xla_backend_optimization_level": 0}  # the quickest to compile
        grads, truths = jax.jit(compared, compiler_options=options)(arrays, x)
        for name, truth in truths.items():
            errors[f"{name}-{layers}"] = error(grads[name.removesuffix("-of-bound")], truth)
    print(json.dumps(errors))


if __name__ == "__main__":
    main()
