"""Families whose draw is a composition: transforms of normal draws, and ratios of gamma draws.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4, third route. A gamma draw of a shape that is
not whole has no closed transform: JAX's `loggamma` differentiates it implicitly (Figurnov et al.
2018, arXiv 1805.08498), and its logarithm does not underflow for small shapes.
"""

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.distributions.families.family import (
    COMPOSITION,
    IMPLICIT,
    Family,
    Parameter,
    density_of,
    positive,
)

Values = Float[Array, " dim"]
LARGEST_UNIT = 1.0 - 2.0**-24


def _draw_log_normal(key: PRNGKeyArray, location: Values, scale: Values) -> Values:
    return positive(location + scale * jax.random.normal(key, scale.shape))


def _draw_gamma(key: PRNGKeyArray, shape: Values, rate: Values) -> Values:
    return positive(jax.random.loggamma(key, shape) - jnp.log(rate))


def _draw_dirichlet(key: PRNGKeyArray, concentration: Values) -> Values:
    return positive(jax.nn.log_softmax(jax.random.loggamma(key, concentration)))


def _draw_beta(key: PRNGKeyArray, alpha: Values, beta: Values) -> Values:
    log_a, log_b = _two_log_gammas(key, alpha, beta)
    return jnp.minimum(positive(jax.nn.log_sigmoid(log_a - log_b)), LARGEST_UNIT)


def _draw_f(key: PRNGKeyArray, df1: Values, df2: Values) -> Values:
    log_a, log_b = _two_log_gammas(key, 0.5 * df1, 0.5 * df2)
    return positive(log_a - log_b + jnp.log(df2) - jnp.log(df1))


def _f(value: Values, df1: Values, df2: Values) -> Values:
    """By hand: NumPyro has no F distribution."""
    a, b = 0.5 * df1, 0.5 * df2
    odds = jnp.log(df1) - jnp.log(df2) + jnp.log(value)
    log_beta = jax.scipy.special.betaln(a, b)
    return a * odds - (a + b) * jnp.logaddexp(odds, 0.0) - log_beta - jnp.log(value)


def _centre_f(df1: Values, df2: Values) -> Values:
    digamma = jax.scipy.special.digamma
    log_ratio = digamma(0.5 * df1) - digamma(0.5 * df2)
    return positive(log_ratio + jnp.log(df2) - jnp.log(df1))


def _two_log_gammas(key: PRNGKeyArray, a: Values, b: Values) -> tuple[Values, Values]:
    """Logarithms of two independent standard gamma draws, differentiable in their shapes."""
    key_a, key_b = streams(key, "composition.a", "composition.b")
    return jax.random.loggamma(key_a, a), jax.random.loggamma(key_b, b)


FAMILIES = (
    Family(
        name="log_normal",
        routes=(COMPOSITION,),
        parameters=(Parameter("location", "real", 0.0), Parameter("scale", "positive", 1.0)),
        support="positive",
        draw=_draw_log_normal,
        log_density=density_of(dist.LogNormal),
        centre=lambda location, scale: positive(location + 0.5 * scale**2),
    ),
    Family(
        name="gamma",
        routes=(COMPOSITION,),
        parameters=(Parameter("shape", "shape", 2.0), Parameter("rate", "positive", 1.0)),
        support="positive",
        draw=_draw_gamma,
        log_density=density_of(dist.Gamma),
        centre=lambda shape, rate: shape / rate,
        source=IMPLICIT,
    ),
    Family(
        name="dirichlet",
        routes=(COMPOSITION,),
        parameters=(Parameter("concentration", "shape", 1.0),),
        support="simplex",
        draw=_draw_dirichlet,
        log_density=density_of(dist.Dirichlet),
        centre=lambda concentration: concentration / jnp.sum(concentration),
        source=IMPLICIT,
    ),
    Family(
        name="beta",
        routes=(COMPOSITION,),
        parameters=(Parameter("alpha", "shape", 1.0), Parameter("beta", "shape", 1.0)),
        support="unit",
        draw=_draw_beta,
        log_density=density_of(dist.Beta),
        centre=lambda alpha, beta: alpha / (alpha + beta),
        source=IMPLICIT,
    ),
    Family(
        name="chi_squared",
        routes=(COMPOSITION,),
        parameters=(Parameter("df", "shape", 2.0),),
        support="positive",
        draw=lambda key, df: _draw_gamma(key, 0.5 * df, jnp.full_like(df, 0.5)),
        log_density=density_of(dist.Chi2),
        centre=lambda df: df,
        source=IMPLICIT,
    ),
    Family(
        name="f",
        routes=(COMPOSITION,),
        parameters=(Parameter("df1", "shape", 5.0), Parameter("df2", "shape", 5.0)),
        support="positive",
        draw=_draw_f,
        log_density=_f,
        centre=_centre_f,
        centre_is="geometric mean",
        source=IMPLICIT,
    ),
)
