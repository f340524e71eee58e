"""The best normal with independent units for each datum, and what it gains on a network's.

The ascent on the ELBO starts at q_phi(z|x) and follows the path derivative of log w (no noise where
q is exact) in the coordinates z = mu + sigma (u + exp(v) epsilon) of q_phi's mu and sigma. All
reported bounds come from fresh draws, with the same epsilon for q* and q_phi.

Reference: Cremer, Li & Duvenaud 2018, arXiv 1801.03558, section 3; Roeder, Wu & Duvenaud 2017,
arXiv 1703.09194 (the path derivative); Kingma & Ba 2015, arXiv 1412.6980 (Adam).
Bias: none in the bounds; q* is as good as the ascent.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.items import Data, One
from tightbound.core.streams import first_keys, numbered
from tightbound.distributions import DiagonalNormal
from tightbound.models.model import Model

EPSILON = 1e-3
"""Adam's epsilon: slopes below it, in nats per standard deviation of q, are rounding."""


class Bounds(NamedTuple):
    """Per datum, from the same fresh epsilon: means over the draws, and their standard errors."""

    elbo: Float[Array, "*n"]
    amortisation: Float[Array, "*n"]
    improvement: Float[Array, "*n"]
    elbo_stderr: Float[Array, "*n"]
    elbo_best_stderr: Float[Array, "*n"]
    amortisation_stderr: Float[Array, "*n"]
    improvement_stderr: Float[Array, "*n"]


class _Local(NamedTuple):
    """A normal beside q_phi(z|x): z = mu + sigma (u + exp(v) epsilon)."""

    u: Float[Array, " dim"]
    v: Float[Array, " dim"]


Loss = Callable[[_Local, Float[Array, "s dim"]], Float[Array, ""]]


@filter_jit
def measured(
    model: Model,
    posterior: DiagonalNormal,
    x: Data,
    ascent_keys: Key[Array, " n"],
    report_keys: Key[Array, " n"],
    *,
    steps: int,
    samples: int,
    learning_rate: float,
    draws: int,
) -> Bounds:
    """Climbs from q_phi to q* for each datum, and measures both with the same fresh draws."""

    def one(x: One, ascent_key: PRNGKeyArray, report_key: PRNGKeyArray) -> Bounds:
        mu, sigma = posterior.parameters(x)

        def log_w(of: _Local, at: _Local, epsilon: Float[Array, " dim"]) -> Float[Array, ""]:
            """Log p(x, z) - log q(z) at a draw z from `at`, with the density of `of`."""
            place = at.u + jnp.exp(at.v) * epsilon
            white = (place - of.u) * jnp.exp(-of.v)
            log_scale = of.v + jnp.log(sigma)
            log_q = -jnp.sum(0.5 * (white**2 + math.log(2 * math.pi)) + log_scale)
            return model.log_joint(x, mu + sigma * place) - log_q

        def loss(q: _Local, epsilons: Float[Array, "s dim"]) -> Float[Array, ""]:
            # Its slope is the path derivative alone: the mean of the score is zero.
            fixed = jax.lax.stop_gradient(q)
            return -jnp.mean(jax.vmap(lambda epsilon: log_w(fixed, q, epsilon))(epsilons))

        def three(draw_key: PRNGKeyArray) -> Float[Array, " 3"]:
            epsilon = jax.random.normal(draw_key, mu.shape, mu.dtype)
            first, middle, last = (log_w(q, q, epsilon) for q in (start, halfway, best))
            return jnp.stack([first, last - first, last - middle])

        start = _Local(jnp.zeros_like(mu), jnp.zeros_like(mu))
        halfway, best = _climbed(
            loss, start, ascent_key, steps=steps, samples=samples, learning_rate=learning_rate
        )
        draw_keys = first_keys(report_key, draws)
        return _of_draws(jax.lax.map(three, draw_keys, batch_size=min(samples, draws)))

    return jax.vmap(one)(x, ascent_keys, report_keys)


def _climbed(
    loss: Loss,
    start: _Local,
    key: PRNGKeyArray,
    *,
    steps: int,
    samples: int,
    learning_rate: float,
) -> tuple[_Local, _Local]:
    """Where Adam is after half of the steps, and after all of them."""
    last = steps // 4
    rate = optax.linear_schedule(learning_rate, 0.0, last, steps - last)
    adam = optax.adam(rate, eps=EPSILON)

    def step(carry: Any, i: Int[Array, ""]) -> tuple[Any, None]:
        q, halfway, state = carry
        halfway = jax.tree.map(lambda new, old: jnp.where(i == steps // 2, new, old), q, halfway)
        step_key = numbered(key, i)
        slope = jax.grad(loss)(q, jax.random.normal(step_key, (samples, *q.u.shape), q.u.dtype))
        with jax.numpy_dtype_promotion("standard"):
            updates, state = adam.update(slope, state, q)
            q = optax.apply_updates(q, updates)
        return (q, halfway, state), None

    (best, halfway, _), _ = jax.lax.scan(step, (start, start, adam.init(start)), jnp.arange(steps))
    return halfway, best


def _of_draws(columns: Float[Array, "k 3"]) -> Bounds:
    """Means and standard errors of log w under q_phi, and of what q* has more than two others."""

    def stderr(of: Float[Array, "k *m"]) -> Float[Array, "*m"]:
        return jnp.std(of, axis=0, ddof=1) / math.sqrt(len(columns))

    best = columns[:, 0] + columns[:, 1]
    elbo, amortisation, improvement = jnp.mean(columns, axis=0)
    elbo_stderr, amortisation_stderr, improvement_stderr = stderr(columns)
    return Bounds(
        elbo=elbo,
        amortisation=amortisation,
        improvement=improvement,
        elbo_stderr=elbo_stderr,
        elbo_best_stderr=stderr(best),
        amortisation_stderr=amortisation_stderr,
        improvement_stderr=improvement_stderr,
    )
