"""The density of a semi-implicit conditional with its noise drawn: a finite mixture of components.

Reference: Yin & Zhou 2018, arXiv 1805.11183, section 3.
"""

import math
from typing import Any

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import first_keys
from tightbound.distributions.contracts import AbstractSemiImplicit


def fresh_noise(conditional: AbstractSemiImplicit, given: Any, key: PRNGKeyArray, k: int) -> Any:
    """The noise of k components; leading axis k."""
    keys = first_keys(key, k)
    return jax.vmap(lambda key: conditional.sample_mixing(given, key=key))(keys)


def log_components(
    conditional: AbstractSemiImplicit, value: Any, mixing: Any, given: Any
) -> Float[Array, " k"]:
    """Log-density of the value under each component in nats."""
    return jax.vmap(lambda mixing: conditional.log_prob_given(value, mixing, given))(mixing)


def log_mean_exp(log_values: Float[Array, " k"]) -> Float[Array, ""]:
    """Log of the mean, without overflow or underflow."""
    return jax.nn.logsumexp(log_values) - math.log(log_values.shape[0])
