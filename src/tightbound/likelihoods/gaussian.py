"""Normal laws of columns: with a scale that z moves, one per column, one for all, or a given one.

Heteroscedastic: Kingma & Welling 2013, arXiv 1312.6114, appendix C.2. Scales that do not depend on
z: Tipping & Bishop 1999 (one), and factor analysis (one per column). A scale that z moves can
shrink onto single values (Mattei & Frellsen 2018, arXiv 1802.04826): it has a floor.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.supports import REAL, Support
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed


class GaussianColumns(AbstractUnivariate):
    """N(shift + scale * a, (scale * s)^2), with s^2 = exp(2 b) + floor^2.

    a is a free number; b is another one, or a parameter of the module.
    """

    shift: Fixed
    scale: Fixed
    floor: Fixed
    """The least s."""
    log_ratio: Float[Array, "..."] | Fixed | None = None
    """b of shape (), for all columns, or (m,); None where it is a free number."""

    @property
    def size(self) -> int:
        """a, and b where z moves it."""
        return 2 if self.log_ratio is None else 1

    @property
    def supports(self) -> tuple[Support, ...]:
        """Any number."""
        return (REAL,) * self.shift.bits.shape[0]

    @property
    def inside(self) -> Values:
        """The training columns' means."""
        return self.shift.values

    @property
    def log_unit(self) -> Values:
        """Log of the training columns' deviations."""
        return jnp.log(self.scale.values)

    def parameters(self, free: Free) -> tuple[Values, Values]:
        """Mean and standard deviation, in the data's units."""
        a, log_s = self._inner(free)
        shift, scale = like(self.shift, free), like(self.scale, free)
        return shift + scale * a, scale * jnp.exp(log_s)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        a, log_s = self._inner(free)
        scale = like(self.scale, free)
        u = ((values - like(self.shift, free)) / scale - a) * jnp.exp(-log_s)
        return -0.5 * u * u - 0.5 * math.log(2 * math.pi) - log_s - jnp.log(scale)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, differentiable in the parameters."""
        location, scale = self.parameters(free)
        return location + scale * jax.random.normal(key, location.shape, location.dtype)

    def push(self, noise: Values, free: Free) -> tuple[Values, Values]:
        """What standard normal noise becomes: draws."""
        location, scale = self.parameters(free)
        return location + scale * noise, jnp.zeros_like(location)

    def normal_each(self, free: Free) -> tuple[Values, Values]:
        """As `parameters`."""
        return self.parameters(free)

    def mean(self, free: Free) -> Values:
        """The mean."""
        return self.parameters(free)[0]

    def cdf(self, values: Values, free: Free) -> Values:
        """The probability of a value no larger."""
        location, scale = self.parameters(free)
        return jax.scipy.special.ndtr((values - location) / scale)

    def icdf(self, p: Values, free: Free) -> Values:
        """The value at which the cdf is p."""
        location, scale = self.parameters(free)
        return location + scale * jax.scipy.special.ndtri(p)

    def _inner(self, free: Free) -> tuple[Values, Values]:
        """Mean and log-standard deviation, standardised."""
        b = self.log_ratio
        if b is None:
            b = free[:, 1]
        elif isinstance(b, Fixed):
            b = like(b, free)
        return free[:, 0], floored(jnp.broadcast_to(b, free.shape[:1]), like(self.floor, free))


def floored(log_s: Values, floor: Values) -> Values:
    """Log of sqrt(exp(2 log_s) + floor^2), which no number overflows."""
    return 0.5 * jnp.logaddexp(2.0 * log_s, 2.0 * jnp.log(floor))


def heteroscedastic(part: Part) -> GaussianColumns:
    """Mean and scale by free numbers."""
    part.check(REAL)
    shift, scale = part.moments()
    return GaussianColumns(Fixed.of(shift), Fixed.of(scale), Fixed.of(part.floors(scale)))


def of_scale(part: Part, *, one: bool) -> GaussianColumns:
    """One learned scale for all standardised columns, or one for each."""
    law = heteroscedastic(part)
    log_ratio = jnp.zeros(() if one else law.shift.bits.shape)
    return GaussianColumns(law.shift, law.scale, law.floor, log_ratio)


def of_given_scale(part: Part, scale: Any = None) -> GaussianColumns:
    """The standard deviation is given, in the data's units."""
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < math.inf:
        raise UsageError(
            "gaussian_fixed needs the standard deviation, in the data's units: expected "
            f"likelihood='gaussian_fixed(scale=0.1)', got scale={scale!r}"
        )
    law = heteroscedastic(part)
    ratio = float(scale) / np.asarray(law.scale.values, np.float64)
    none = np.full_like(ratio, np.finfo(np.float32).tiny)
    return GaussianColumns(law.shift, law.scale, Fixed.of(none), Fixed.of(np.log(ratio)))


LIKELIHOODS = {
    "gaussian_fixed": Likelihood(
        "real values with a standard deviation that is given: gaussian_fixed(scale=0.1)",
        univariate=of_given_scale,
        options=("scale",),
    ),
    "gaussian_scalar": Likelihood(
        "real values with one learned scale for all standardised columns",
        univariate=lambda part: of_scale(part, one=True),
    ),
    "gaussian_column": Likelihood(
        "real values with a learned scale for each column",
        univariate=lambda part: of_scale(part, one=False),
    ),
}
