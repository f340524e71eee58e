"""Student-t laws of columns, whose degrees of freedom are learned, one number per column.

Lange, Little & Taylor 1989 (robust modelling by the t distribution, degrees of freedom by maximum
likelihood).
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.core.supports import REAL, Support
from tightbound.likelihoods.gaussian import floored
from tightbound.likelihoods.registry import Likelihood
from tightbound.likelihoods.stirling import rest
from tightbound.likelihoods.univariate import AbstractUnivariate, Free, Part, Values, like
from tightbound.networks import Fixed

FIRST = 5.0
"""Degrees of freedom at the start."""


class StudentTColumns(AbstractUnivariate):
    """shift + scale * (a + s t), with t of nu degrees of freedom and s^2 = exp(2 b) + floor^2.

    nu = 1 + exp(c) with a learned c, so that a mean exists; a and b are free numbers.
    """

    shift: Fixed
    scale: Fixed
    floor: Fixed
    log_excess: Float[Array, " m"]
    """c of each column."""

    @property
    def size(self) -> int:
        """A and b."""
        return 2

    @property
    def supports(self) -> tuple[Support, ...]:
        """Any number."""
        return (REAL,) * self.shift.bits.shape[0]

    @property
    def sees(self) -> str:
        """What tames heavy tails."""
        return "arcsinh"

    @property
    def inside(self) -> Values:
        """The training columns' medians."""
        return self.shift.values

    @property
    def log_unit(self) -> Values:
        """Log of the training columns' spreads."""
        return jnp.log(self.scale.values)

    def parameters(self, free: Free) -> tuple[Values, Values, Values]:
        """Degrees of freedom, location and scale, in the data's units."""
        log_s = floored(free[:, 1], like(self.floor, free))
        scale = like(self.scale, free)
        nu = 1.0 + jnp.exp(jnp.clip(self.log_excess, -10.0, 15.0))
        return nu, like(self.shift, free) + scale * free[:, 0], scale * jnp.exp(log_s)

    def log_prob(self, values: Values, free: Free) -> Values:
        """Log-density in nats."""
        nu, _, scale = self.parameters(free)
        u = (values - like(self.shift, free)) / like(self.scale, free) - free[:, 0]
        t = u * like(self.scale, free) / scale
        half = 0.5 * nu
        # Gamma(nu / 2 + 1 / 2) / Gamma(nu / 2), without their large parts.
        ratio = half * jnp.log1p(0.5 / half) + 0.5 * jnp.log(half + 0.5) - 0.5
        ratio = ratio + rest(half) - rest(half + 0.5)
        # The square of 1e19 and more is beyond float32, the logarithm of it is not.
        large = jnp.abs(t) > 1e9
        near = jnp.log1p(jnp.where(large, 0.0, t) ** 2 / nu)
        far = 2.0 * jnp.log(jnp.where(large, jnp.abs(t), 1.0)) - jnp.log(nu)
        far = (half + 0.5) * jnp.where(large, far, near)
        return ratio - 0.5 * jnp.log(math.pi * nu) - far - jnp.log(scale)

    def sample(self, key: PRNGKeyArray, free: Free) -> Values:
        """A draw, differentiable in the parameters."""
        nu, location, scale = self.parameters(free)
        normal_key, gamma_key = streams(key, "student_t_columns.normal", "student_t_columns.radius")
        noise = jax.random.normal(normal_key, nu.shape, nu.dtype)
        log_gamma = jax.random.loggamma(gamma_key, 0.5 * nu)
        return location + scale * noise * jnp.exp(0.5 * (jnp.log(0.5 * nu) - log_gamma))

    def push(self, noise: Values, free: Free) -> tuple[Values, Values]:
        """What standard normal noise becomes by Wallace's approximation of t's quantiles.

        Noise e becomes sign(e) sqrt(nu (exp(c^2 e^2 / nu) - 1)), c = (8 nu + 3) / (8 nu + 1), of
        which draws differ a little; the log-weights put that right (Wallace 1959, Ann. Math.
        Statist. 30(4)). They are bounded above, since c > 1.
        """
        nu, location, scale = self.parameters(free)
        c = (8.0 * nu + 3.0) / (8.0 * nu + 1.0)
        # Far out exp would overflow: the noise of 1 in 1e15 draws and fewer is held back.
        square = jnp.minimum((c * noise) ** 2 / nu, 80.0)
        small = square < 1e-4
        safe = jnp.where(small, 1.0, square)
        log_part = jnp.where(small, 0.25 * square, 0.5 * jnp.log(jnp.expm1(safe) / safe))
        t = c * noise * jnp.exp(log_part)
        values = location + scale * t
        # dt / de = c exp(square) / exp(log_part), from t^2 = nu expm1(square).
        log_slope = jnp.log(scale * c) + square - log_part
        log_normal = -0.5 * noise**2 - 0.5 * math.log(2 * math.pi)
        return values, self.log_prob(values, free) + log_slope - log_normal

    def mean(self, free: Free) -> Values:
        """The mean."""
        return self.parameters(free)[1]


def _of(part: Part) -> StudentTColumns:
    part.check(REAL)
    shift, scale = part.robust()
    first = jnp.full(shift.shape, np.log(FIRST - 1.0), jnp.float32)
    floors = part.floors(scale)
    return StudentTColumns(Fixed.of(shift), Fixed.of(scale), Fixed.of(floors), first)


LIKELIHOODS = {
    "student_t": Likelihood(
        "real values with heavy tails; learned degrees of freedom for each column", univariate=_of
    ),
}
