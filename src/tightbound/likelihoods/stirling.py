"""The log-gamma function without its large part, for laws that would else lose it to cancellation.

Log-gamma of a million is 1.3e7, of which float32 keeps the ones and nothing below. Densities of
counts, gammas and betas are differences of such numbers; written in `rest` the large parts cancel
on paper.

Reference: Loader 2000, Fast and accurate computation of binomial probabilities (the saddle-point
form).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

SWITCH = 8.0
"""From here on Stirling's series, whose next term is below 1e-9."""


def rest(k: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """K log k - k - log Gamma(k) for k > 0: about half of log(k / 2 pi)."""
    small = jnp.minimum(k, SWITCH)
    direct = small * jnp.log(small) - small - jax.lax.lgamma(small)
    large = jnp.maximum(k, SWITCH)
    inverse = 1.0 / large
    square = inverse * inverse
    tail = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    series = 0.5 * (jnp.log(large) - jnp.log(jnp.asarray(2 * jnp.pi, k.dtype))) - tail
    return jnp.where(k < SWITCH, direct, series)


def excess(t: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """T - log(1 + t) for t > -1, which is 0 at 0 and positive elsewhere; by its series near 0."""
    near = jnp.abs(t) < 0.02
    small = jnp.where(near, t, 0.0)
    series = small * small * (0.5 - small * (1 / 3 - small * (1 / 4 - small * (1 / 5 - small / 6))))
    return jnp.where(near, series, t - jnp.log1p(jnp.where(near, 0.0, t)))
