"""Compares gradients with finite differences in float64, and prints the largest errors as JSON.

Run in a process of its own with JAX_ENABLE_X64=1. The noise is fixed by the keys. What is
differenced is the sum of weights times terms that defines an estimator, each term with its own
copy of the parameters:

    sum_i model_i log p_theta(x, z_i) + path_i log w(z_i(phi)) + score_i log q_phi(z_i)

For the total derivative a second difference is taken, of the reported bound itself.
"""

import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from tightbound.models import autoencoder
from tightbound.models.weights import log_joint, log_q, sample, split_each
from tightbound.objectives import Parts, elbo, iwae
from tightbound.objectives.multisample import Multisample
from tightbound.randomness import item_keys

K, N, STEP = 3, 2, 1e-5
OF_BOUND = ("elbo-reparameterized", "iwae-reparameterized", "elbo-B")


def build(layers: int, likelihood: str) -> tuple[Parts, jax.Array]:
    """A small autoencoder with hidden units and its data, both in float64."""
    x = np.random.default_rng(5).random((N, 3))
    x = x.round() if likelihood == "bernoulli" else x
    parts = Parts(
        *autoencoder(x, latent=2, hidden=(3,), layers=layers, likelihood=likelihood, key=4)
    )
    parts = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, parts)
    return parts, jnp.asarray(x)


def differences(functions: dict[str, Any], at: Any) -> dict[str, jax.Array]:
    """Central differences of scalar functions of one tree, along all its coordinates."""
    arrays, rest = eqx.partition(at, eqx.is_inexact_array)
    flat, unravel = ravel_pytree(arrays)

    def values(point: jax.Array) -> dict[str, jax.Array]:
        tree = eqx.combine(unravel(point), rest)
        return {name: function(tree) for name, function in functions.items()}

    def one(move: jax.Array) -> dict[str, jax.Array]:
        both = jax.vmap(values)(jnp.stack([flat + move, flat - move]))
        return {name: (value[0] - value[1]) / (2 * STEP) for name, value in both.items()}

    return jax.lax.map(one, STEP * jnp.eye(len(flat)))


def defining_sum(objective: Multisample, at: Parts, x: jax.Array, keys: jax.Array) -> Any:
    """The sum whose derivative at `at` is the estimator, by definition."""
    draw_keys = split_each(keys, objective.k)
    z, log_q_z = sample(at.posterior, x, draw_keys)
    log_w = log_joint(at.model, x, z) - log_q_z
    weights = jax.vmap(lambda row: objective.gradient.coefficients(objective.bound_on_draws, row))(
        log_w
    )

    def value(parts: Parts) -> jax.Array:
        moved, _ = sample(parts.posterior, x, draw_keys)
        path = log_joint(at.model, x, moved) - log_q(at.posterior, x, moved)
        total = weights.model * log_joint(parts.model, x, z)
        total = total + weights.model * weights.path_ratio * path
        if weights.score is not None:
            total = total + weights.score * log_q(parts.posterior, x, z)
        return -jnp.sum(total) / N

    return value


def error(grads: Parts, truth: jax.Array) -> float:
    """The largest difference, relative to the largest gradient."""
    assert truth.dtype == jnp.float64
    flat = ravel_pytree(grads)[0]
    return float(jnp.max(jnp.abs(flat - truth)) / jnp.max(jnp.abs(truth)))


def main() -> None:
    """All estimators on one and two layers."""
    errors = {}
    keys = item_keys(jax.random.key(2), jnp.arange(N))
    for layers, likelihood in ((1, "bernoulli"), (2, "gaussian_unit_mean")):
        parts, x = build(layers, likelihood)
        objectives = {
            f"{name}-{gradient}": objective
            for gradient in ("reparameterized", "stl", "dreg")
            for name, objective in (
                ("elbo", elbo(samples=K, gradient=gradient)),
                ("iwae", iwae(K, gradient)),
            )
        }
        if layers == 1:
            objectives["elbo-B"] = elbo("B", samples=K)

        arrays, rest = eqx.partition(parts, eqx.is_array)

        def compared(arrays: Parts, x: jax.Array, rest: Any = rest, objectives: Any = objectives):
            parts = eqx.combine(arrays, rest)
            functions = {
                name: defining_sum(o, parts, x, keys)
                for name, o in objectives.items()
                if isinstance(o, Multisample)
            }
            for name in OF_BOUND:
                if o := objectives.get(name):
                    functions[f"{name}-of-bound"] = lambda p, o=o: -jnp.mean(o.bound(p, x, keys))
            grads = {name: o.step(parts, x, keys).grads for name, o in objectives.items()}
            return grads, differences(functions, parts)

        options = {"xla_backend_optimization_level": 0}  # the quickest to compile
        grads, truths = jax.jit(compared, compiler_options=options)(arrays, x)
        for name, truth in truths.items():
            errors[f"{name}-{layers}"] = error(grads[name.removesuffix("-of-bound")], truth)
    print(json.dumps(errors))


if __name__ == "__main__":
    main()
