"""The waist of the library: draws from q and their log-weights, for many data and draws."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.items import Data, One
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import AbstractExplicit
from tightbound.models.model import Model


def sample(
    posterior: AbstractExplicit, x: Data, keys: Key[Array, "n k"]
) -> tuple[Any, Float[Array, "n k"]]:
    """Draws z of shape (n, k, ...) and log q(z|x) in nats, for keys of shape (n, k)."""

    def one(x: One, key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        return posterior.sample_and_log_prob(x, key=key)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)))(x, keys)


def log_q(posterior: AbstractExplicit, x: Data, z: Any) -> Float[Array, "n k"]:
    """Log q(z|x) in nats at given draws."""

    def one(x: One, z: Any) -> Float[Array, ""]:
        return posterior.log_prob(z, x)

    return jax.vmap(jax.vmap(one, in_axes=(None, 0)))(x, z)


def log_joint(model: Model, x: Data, z: Any) -> Float[Array, "n k"]:
    """Log p(x, z) in nats at given draws."""
    return jax.vmap(jax.vmap(model.log_joint, in_axes=(None, 0)))(x, z)


def log_weights(
    model: Model, posterior: AbstractExplicit, x: Data, keys: Key[Array, "n k"]
) -> Float[Array, "n k"]:
    """Log w = log p(x, z) - log q(z|x) in nats at fresh draws, for keys of shape (n, k)."""
    z, log_q_z = sample(posterior, x, keys)
    return log_joint(model, x, z) - log_q_z


def split_each(keys: Key[Array, " n"], k: int) -> Key[Array, "n k"]:
    """Gives k keys from each of n, shape (n, k): the first draws stay the same when k grows."""
    return jax.vmap(lambda key: first_keys(key, k))(keys)


def systematic(shares: Float[Array, " k"], draws: int, key: PRNGKeyArray) -> Int[Array, " draws"]:
    """Numbers of k draws, each as often as its share says, within one (systematic resampling)."""
    offset = jax.random.uniform(key)
    steps = (jnp.arange(draws, dtype=shares.dtype) + offset) / draws
    ends = jnp.cumsum(shares)
    return jnp.minimum(jnp.searchsorted(ends / ends[-1], steps), shares.shape[0] - 1)


def resampled(shares: Float[Array, " k"], draws: int, key: PRNGKeyArray) -> Int[Array, " draws"]:
    """As `systematic`, in random order: where the k are all values of z, theirs means something."""
    chosen, order = streams(key, "resampled.chosen", "resampled.order")
    return jax.random.permutation(order, systematic(shares, draws, chosen))
