"""Families whose draw is location + scale * noise, with noise of the standard member.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4, second route; the logistic, which the paper
names on both, stands with the inverse CDFs.
"""

import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.distributions.families.family import (
    IMPLICIT,
    LOCATION_SCALE,
    Family,
    Parameter,
    density_of,
    open_uniform,
    within,
)
from tightbound.distributions.triangular import HIGHEST, inverse

Values = Float[Array, " dim"]
Matrix = Float[Array, "dim dim"]
Scalar = Float[Array, ""]
ROUNDING = 1e-6
LOCATION, SCALE = Parameter("location", "real", 0.0), Parameter("scale", "positive", 1.0)
FACTOR = Parameter("factor", "Cholesky factor", 1.0)


def _draw_laplace(key: PRNGKeyArray, location: Values, scale: Values) -> Values:
    centred = open_uniform(key, scale.shape) - 0.5
    return location - scale * jnp.sign(centred) * jnp.log1p(-2.0 * jnp.abs(centred))


def _draw_elliptical(key: PRNGKeyArray, location: Values, factor: Matrix) -> Values:
    return location + factor @ jax.random.normal(key, location.shape)


def _draw_elliptical_t(key: PRNGKeyArray, location: Values, factor: Matrix, df: Scalar) -> Values:
    normal_key, gamma_key = streams(key, "elliptical_t.normal", "elliptical_t.radius")
    noise = jax.random.normal(normal_key, location.shape)
    return location + factor @ (noise * _student_radius(gamma_key, df))


def _elliptical(value: Values, location: Values, factor: Matrix) -> Scalar:
    white, log_volume = _white(value, location, factor)
    return -0.5 * (jnp.sum(white**2) + value.shape[0] * math.log(2 * math.pi)) - log_volume


def _elliptical_t(value: Values, location: Values, factor: Matrix, df: Scalar) -> Scalar:
    white, log_volume = _white(value, location, factor)
    dim = value.shape[0]
    constant = jax.lax.lgamma((df + dim) / 2) - jax.lax.lgamma(df / 2)
    constant = constant - dim / 2 * jnp.log(df * math.pi)
    far = jnp.log1p(jnp.sum(white**2) / df)
    return constant - (df + dim) / 2 * far - log_volume


def _white(value: Values, location: Values, factor: Matrix) -> tuple[Values, Scalar]:
    """(1/L) (value - location), and log |L|: by matrix products, as NumPyro's are not."""
    white = jnp.matmul(inverse(factor), value - location, precision=HIGHEST)
    return white, jnp.sum(jnp.log(jnp.diagonal(factor)))


def _draw_student_t(key: PRNGKeyArray, df: Values, location: Values, scale: Values) -> Values:
    normal_key, gamma_key = streams(key, "student_t.normal", "student_t.radius")
    noise = jax.random.normal(normal_key, scale.shape)
    return location + scale * noise * _student_radius(gamma_key, df)


def _student_radius(key: PRNGKeyArray, df: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """sqrt(df / chi-squared(df)), differentiable in df; at most exp(30): squares are finite."""
    log_gamma = jax.random.loggamma(key, 0.5 * df)
    return jnp.exp(jnp.minimum(0.5 * (jnp.log(0.5 * df) - log_gamma), 30.0))


def _draw_uniform(key: PRNGKeyArray, low: Values, width: Values) -> Values:
    return low + width * open_uniform(key, width.shape)


def _uniform(value: Values, low: Values, width: Values) -> Values:
    return within(-jnp.log(width), (value - low) / width, _slack(low, width))


def _draw_triangular(key: PRNGKeyArray, low: Values, width: Values, mode: Values) -> Values:
    u = open_uniform(key, width.shape)
    rising = u < mode
    # One root of a positive number: the root of the other branch could be zero, its slope infinite.
    root = jnp.sqrt(jnp.where(rising, u * mode, (1.0 - u) * (1.0 - mode)))
    return low + width * jnp.where(rising, root, 1.0 - root)


def _triangular(value: Values, low: Values, width: Values, mode: Values) -> Values:
    u = (value - low) / width
    side = jnp.where(u < mode, u / mode, (1.0 - u) / (1.0 - mode))
    # Zero at the ends; a draw that rounding puts there has the density of its neighbour.
    side = jnp.maximum(side, 2.0**-24)
    return within(jnp.log(2.0 * side) - jnp.log(width), u, _slack(low, width))


def _slack(low: Values, width: Values) -> Values:
    """The rounding of (value - low) / width."""
    return ROUNDING * (1.0 + jnp.abs(low) / width)


FAMILIES = (
    Family(
        name="laplace",
        routes=(LOCATION_SCALE,),
        parameters=(LOCATION, SCALE),
        support="real",
        draw=_draw_laplace,
        log_density=density_of(dist.Laplace),
        centre=lambda location, scale: location,
    ),
    Family(
        name="elliptical",
        routes=(LOCATION_SCALE,),
        parameters=(LOCATION, FACTOR),
        support="real",
        draw=_draw_elliptical,
        log_density=_elliptical,
        centre=lambda location, factor: location,
    ),
    Family(
        name="elliptical_t",
        routes=(LOCATION_SCALE,),
        parameters=(LOCATION, FACTOR, Parameter("df", "shared shape", 5.0)),
        support="real",
        draw=_draw_elliptical_t,
        log_density=_elliptical_t,
        centre=lambda location, factor, df: location,
        centre_is="median",
        source=IMPLICIT,
    ),
    Family(
        name="student_t",
        routes=(LOCATION_SCALE,),
        parameters=(Parameter("df", "shape", 5.0), LOCATION, SCALE),
        support="real",
        draw=_draw_student_t,
        log_density=density_of(dist.StudentT),
        centre=lambda df, location, scale: location,
        centre_is="median",
        source=IMPLICIT,
    ),
    Family(
        name="uniform",
        routes=(LOCATION_SCALE,),
        parameters=(Parameter("low", "real", 0.0), Parameter("width", "positive", 1.0)),
        support="real",
        draw=_draw_uniform,
        log_density=_uniform,
        centre=lambda low, width: low + 0.5 * width,
        interval="[low, low + width]",
        standard_support="unit",
        prior="normal",
    ),
    Family(
        name="triangular",
        routes=(LOCATION_SCALE,),
        parameters=(
            Parameter("low", "real", 0.0),
            Parameter("width", "positive", 1.0),
            Parameter("mode", "unit", 0.5),
        ),
        support="real",
        draw=_draw_triangular,
        log_density=_triangular,
        centre=lambda low, width, mode: low + width * (1.0 + mode) / 3.0,
        interval="[low, low + width]",
        standard_support="unit",
        prior="normal",
    ),
    Family(
        name="normal",
        routes=(LOCATION_SCALE,),
        parameters=(LOCATION, SCALE),
        support="real",
        draw=lambda key, location, scale: location + scale * jax.random.normal(key, scale.shape),
        log_density=density_of(dist.Normal),
        centre=lambda location, scale: location,
    ),
)
