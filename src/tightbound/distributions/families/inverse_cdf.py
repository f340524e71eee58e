"""Families whose draw is the inverse CDF of a uniform number.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4, first route.
"""

import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.distributions.families.family import (
    INVERSE_CDF,
    LARGEST_LOG,
    LOCATION_SCALE,
    Family,
    Parameter,
    density_of,
    exponential,
    open_uniform,
    positive,
    within,
)

Values = Float[Array, " dim"]
EULER = 0.5772156649015329
LOG_2 = 0.6931471805599453
ROUNDING = 1e-6


def _draw_cauchy(key: PRNGKeyArray, location: Values, scale: Values) -> Values:
    angle = jnp.pi * (open_uniform(key, scale.shape) - 0.5)
    return location + scale * jnp.tan(angle)


def _draw_logistic(key: PRNGKeyArray, location: Values, scale: Values) -> Values:
    u = open_uniform(key, scale.shape)
    return location + scale * (jnp.log(u) - jnp.log1p(-u))


def _draw_pareto(key: PRNGKeyArray, scale: Values, shape: Values) -> Values:
    return scale * jnp.exp(jnp.minimum(exponential(key, scale.shape) / shape, LARGEST_LOG))


def _pareto(value: Values, scale: Values, shape: Values) -> Values:
    """By hand: NumPyro's checks the values of the exponential within, whatever it is told."""
    log_value, log_scale = jnp.log(value), jnp.log(scale)
    log_density = jnp.log(shape) - log_value - shape * (log_value - log_scale)
    inside = log_value - log_scale >= -ROUNDING * (1.0 + jnp.abs(log_scale))
    return jnp.where(inside, log_density, -jnp.inf)


def _draw_weibull(key: PRNGKeyArray, scale: Values, shape: Values) -> Values:
    return positive(jnp.log(scale) + jnp.log(exponential(key, scale.shape)) / shape)


def _draw_reciprocal(key: PRNGKeyArray, low: Values, log_width: Values) -> Values:
    return low * jnp.exp(open_uniform(key, low.shape) * log_width)


def _reciprocal(value: Values, low: Values, log_width: Values) -> Values:
    log_low, log_value = jnp.log(low), jnp.log(value)
    slack = ROUNDING * (1.0 + (1.0 + jnp.abs(log_low)) / log_width)
    # log_width = log(high / low): with NumPyro's LogUniform(low, high) a high end beyond
    # float32 would be lost.
    return within(-log_value - jnp.log(log_width), (log_value - log_low) / log_width, slack)


def _draw_gompertz(key: PRNGKeyArray, shape: Values, rate: Values) -> Values:
    return jnp.log1p(exponential(key, rate.shape) / shape) / rate


def erlang(shape: int) -> Family:
    """The sum of `shape` exponentials: the gamma family with a fixed whole shape."""

    def draw(key: PRNGKeyArray, rate: Values) -> Values:
        return jnp.sum(exponential(key, (shape, *rate.shape)), axis=0) / rate

    def log_density(value: Values, rate: Values) -> Values:
        return density_of(dist.Gamma)(value, jnp.full_like(rate, shape), rate)

    return Family(
        name="erlang" if shape == 2 else f"erlang:{shape}",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("rate", "positive", 1.0),),
        support="positive",
        draw=draw,
        log_density=log_density,
        centre=lambda rate: shape / rate,
    )


FAMILIES = (
    Family(
        name="exponential",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("rate", "positive", 1.0),),
        support="positive",
        draw=lambda key, rate: exponential(key, rate.shape) / rate,
        log_density=density_of(dist.Exponential),
        centre=lambda rate: 1.0 / rate,
    ),
    Family(
        name="cauchy",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("location", "real", 0.0), Parameter("scale", "positive", 1.0)),
        support="real",
        draw=_draw_cauchy,
        log_density=density_of(dist.Cauchy),
        centre=lambda location, scale: location,
        centre_is="median",
    ),
    Family(
        name="logistic",
        routes=(INVERSE_CDF, LOCATION_SCALE),
        parameters=(Parameter("location", "real", 0.0), Parameter("scale", "positive", 1.0)),
        support="real",
        draw=_draw_logistic,
        log_density=density_of(dist.Logistic),
        centre=lambda location, scale: location,
    ),
    Family(
        name="rayleigh",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("scale", "positive", 1.0),),
        support="positive",
        draw=lambda key, scale: scale * jnp.sqrt(2.0 * exponential(key, scale.shape)),
        # Rayleigh is Weibull of shape 2; NumPyro has no class for it.
        log_density=lambda value, scale: density_of(dist.Weibull)(
            value, scale * 2.0**0.5, jnp.full_like(scale, 2.0)
        ),
        centre=lambda scale: scale * (jnp.pi / 2.0) ** 0.5,
    ),
    Family(
        name="pareto",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("scale", "positive", 1.0), Parameter("shape", "shape", 2.0)),
        support="positive",
        draw=_draw_pareto,
        log_density=_pareto,
        centre=lambda scale, shape: scale * jnp.exp(jnp.minimum(LOG_2 / shape, LARGEST_LOG)),
        centre_is="median",
        interval="[scale, inf)",
        standard_support="[1, inf)",
        prior="log_normal",
    ),
    Family(
        name="weibull",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("scale", "positive", 1.0), Parameter("shape", "shape", 1.0)),
        support="positive",
        draw=_draw_weibull,
        log_density=density_of(dist.Weibull),
        centre=lambda scale, shape: positive(jnp.log(scale) + jnp.log(LOG_2) / shape),
        centre_is="median",
    ),
    Family(
        name="reciprocal",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("low", "positive", 1.0), Parameter("log_width", "shape", 1.0)),
        support="positive",
        draw=_draw_reciprocal,
        log_density=_reciprocal,
        centre=lambda low, log_width: low * jnp.expm1(log_width) / log_width,
        interval="[low, low exp(log_width)]",
        standard_support="[1, e]",
        prior="log_normal",
    ),
    Family(
        name="gompertz",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("shape", "shape", 1.0), Parameter("rate", "positive", 1.0)),
        support="positive",
        draw=_draw_gompertz,
        log_density=density_of(dist.Gompertz),
        centre=lambda shape, rate: jnp.log1p(LOG_2 / shape) / rate,
        centre_is="median",
        # Its own log-density falls as exp(z): too steep for draws of a slow rate.
        prior="exponential",
    ),
    Family(
        name="gumbel",
        routes=(INVERSE_CDF,),
        parameters=(Parameter("location", "real", 0.0), Parameter("scale", "positive", 1.0)),
        support="real",
        draw=lambda key, location, scale: location - scale * jnp.log(exponential(key, scale.shape)),
        log_density=density_of(dist.Gumbel),
        centre=lambda location, scale: location + EULER * scale,
        # Its own log-density falls as exp(-z): too steep for draws of a large scale.
        prior="logistic",
    ),
    erlang(2),
)
