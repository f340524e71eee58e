"""flowjax: `ElboLoss`."""

# pyright: reportMissingImports=false

import equinox as eqx
import jax
import jax.numpy as jnp
import paramax
from flowjax.distributions import Normal
from flowjax.train.losses import ElboLoss
from jaxtyping import Array

from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import COIN_MEAN, COIN_VARIANCE, COINS, X, coins


def _parts(mean: float, scale: float) -> tuple[Normal, Normal]:
    """Parameters and the rest, as its training loops split them."""
    return eqx.partition(
        Normal(mean, scale),
        eqx.is_inexact_array,
        is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable),
    )


def elbo() -> Measured:
    prior = Normal()
    loss = ElboLoss(lambda z: prior.log_prob(z) + coins(COINS), num_samples=1000)
    parts = _parts(COIN_MEAN, COIN_VARIANCE**0.5)
    call = "`-ElboLoss(...)(...)`"
    return repeated(lambda number: -float(loss(*parts, jax.random.key(number))), 20, call)


def landing() -> Measured:
    prior, unit = Normal(), Normal()

    def log_joint(z: Array) -> Array:
        return prior.log_prob(z) + unit.log_prob(X - z)

    loss = ElboLoss(log_joint, num_samples=1, stick_the_landing=True)
    parts = _parts(X / 2, 0.5**0.5)
    grads = [eqx.filter_grad(loss)(*parts, jax.random.key(number)) for number in range(20)]
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(grads))
    return Measured(
        largest, 0.0, "gradient of `ElboLoss(..., stick_the_landing=True)`, 20 single draws"
    )


MEASUREMENTS: dict[str, Measurement] = {"elbo": elbo, "landing": landing}
