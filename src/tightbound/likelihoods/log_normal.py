"""Log-normal laws of columns: their logarithms are normal, with mean and scale by a network."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from tightbound.core.supports import POSITIVE, Support
from tightbound.likelihoods.gaussian import GaussianColumns
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values
from tightbound.networks import Fixed


class LogNormalColumns(AbstractUnivariate):
    """exp of normal laws."""

    of: GaussianColumns
    """The laws of the logarithms."""

    @property
    def size(self) -> int:
        """Those of the logarithm."""
        return self.of.size

    @property
    def supports(self) -> tuple[Support, ...]:
        """Positive numbers."""
        return (POSITIVE,) * len(self.of.supports)

    @property
    def sees(self) -> str:
        """The logarithm."""
        return "log"

    @property
    def inside(self) -> Values:
        """The training columns' geometric means."""
        return jnp.exp(self.of.inside)

    @property
    def log_unit(self) -> Values:
        """Log of the training columns' geometric means."""
        return self.of.inside

    def parameters(self, free: Free) -> tuple[Values, Values]:
        """Mean and standard deviation of the logarithm."""
        return self.of.parameters(free)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        log_value = jnp.log(values)
        return self.of.log_prob(log_value, free) - log_value

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, differentiable in the parameters, from 1e-35 to 1e35."""
        return jnp.exp(jnp.clip(self.of.sample(key, free), -80.0, 80.0))

    def push(self, noise: Values, free: Free) -> tuple[Values, Values]:
        """What standard normal noise becomes: draws, from 1e-35 to 1e35."""
        log_values, log_ratio = self.of.push(noise, free)
        return jnp.exp(jnp.clip(log_values, -80.0, 80.0)), log_ratio

    def mean(self, free: Free) -> Values:
        """The mean."""
        location, scale = self.of.parameters(free)
        return jnp.exp(location + 0.5 * scale * scale)

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        return self.of.cdf(jnp.log(values), free)

    def icdf(self, p: Values, free: Free) -> Values:
        """The value at which the cdf is p."""
        return jnp.exp(self.of.icdf(p, free))


def _of(part: Part) -> LogNormalColumns:
    part.check(POSITIVE)
    logs = Part(np.log(part.values), part.columns)
    shift, scale = logs.moments()
    # A rounding step is as large a part of the logarithm as it is of the value.
    floors = part.floors(np.exp(shift) * scale)
    return LogNormalColumns(GaussianColumns(Fixed.of(shift), Fixed.of(scale), Fixed.of(floors)))


LIKELIHOODS = {
    "log_normal": Likelihood("positive values whose logarithm is normal", univariate=_of),
}
