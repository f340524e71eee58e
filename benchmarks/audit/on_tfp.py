"""TensorFlow Probability on JAX: `tfp.vi.monte_carlo_variational_loss`."""

# pyright: reportMissingImports=false

import jax
import jax.numpy as jnp
from tensorflow_probability.substrates import jax as tfp

from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import COIN_MEAN, COIN_VARIANCE, COINS, SCALE, K, coins

_CALLS = 20
_PRIOR = tfp.distributions.Normal(0.0, 1.0)


def _exponential(z: jax.Array) -> jax.Array:
    log_w = jnp.log(SCALE) + jnp.log(-jax.scipy.special.log_ndtr(-z))
    return _PRIOR.log_prob(z) + log_w


def _coins(z: jax.Array) -> jax.Array:
    return _PRIOR.log_prob(z) + coins(COINS)


def elbo() -> Measured:
    q = tfp.distributions.Normal(COIN_MEAN, COIN_VARIANCE**0.5)

    def report(number: int) -> float:
        key = jax.random.PRNGKey(number)
        return -float(tfp.vi.monte_carlo_variational_loss(_coins, q, sample_size=1000, seed=key))

    return repeated(report, _CALLS, "`-tfp.vi.monte_carlo_variational_loss(...)`")


def _importance(target, k: int, size: int, calls: int) -> Measured:
    def report(number: int) -> float:
        return -float(
            tfp.vi.monte_carlo_variational_loss(
                target,
                _PRIOR,
                sample_size=size,
                importance_sample_size=k,
                seed=jax.random.PRNGKey(number),
            )
        )

    call = f"`-tfp.vi.monte_carlo_variational_loss(..., importance_sample_size={k})`"
    return repeated(report, calls, call)


def iwae() -> Measured:
    return _importance(_exponential, K, 5000, _CALLS)


def far() -> Measured:
    return _importance(_coins, 8, 10, 1)


MEASUREMENTS: dict[str, Measurement] = {"elbo": elbo, "iwae": iwae, "far": far}
