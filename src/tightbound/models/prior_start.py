"""Where a semi-implicit posterior starts: as wide as the prior, units near one of two places."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from tightbound.core.streams import first_keys, stream
from tightbound.networks import Dense

APART = 0.8
"""Half the distance of a unit's two places, in standard deviations of the prior."""
WITHIN = 0.15
"""First standard deviation of the explicit layer, in the same unit: draws of a wider one cross from
mode to mode, and what they pull at takes all others along."""
PRIOR_DRAWS = 1000
"""Draws that tell how wide the prior is."""


def as_the_prior(model: Any, location: Dense, noise: int, key: PRNGKeyArray) -> tuple[Dense, Dense]:
    """Heads that begin as wide as the prior, each unit of z near one of two places.

    The sign of a unit's own noise tells which: the units are independent at first, and nothing
    need be between the places.

    Args:
        model: Its prior is drawn from.
        location: A head by Glorot's rule, for the trunk's features alone.
        noise: Dimensions of the noise, whose signs stand behind these features.
        key: Of the prior's draws.

    Returns:
        Heads of location and log-scale, for features and signs.
    """
    draws = jax.vmap(lambda key: model.prior.sample(None, key=key))(
        first_keys(stream(key, "posterior.prior"), PRIOR_DRAWS)
    )
    # By quantiles: a prior with heavy tails has no standard deviation.
    low, middle, high = jnp.quantile(draws, jnp.array([0.16, 0.5, 0.84]), axis=0)
    spread = (high - low) / 2
    jumps = APART * jnp.eye(noise, spread.shape[0]) @ jnp.diag(spread)
    weight = jnp.concatenate([location.weight, jumps])
    return Dense(weight, middle), Dense(jnp.zeros_like(weight), jnp.log(WITHIN * spread))
