"""Densities of NumPyro's distributions as functions of z, where x = T(z) is on a part of the reals.

With log x and log(1 - x) written in z nothing is lost where x is rounded to an end of its support.
Each has a draw of z alike: a draw of x that is rounded to 1 would be one of no z.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid
from jax.scipy.special import betaln, gammaln
from numpyro import distributions as dist

from tightbound.core.streams import streams


class Closed(NamedTuple):
    """A family in z; functions take z (or a key and the value's shape) and the parameters."""

    parameters: Callable[[Any], tuple[Any, ...]]
    value: Callable[..., Any]
    log_density: Callable[..., Any]
    """In nats with the Jacobian, one number for each event."""
    draw: Callable[..., Any]
    ends: tuple[str | None, str | None]
    event_dim: int = 0
    less: int = 0
    """By how much z is shorter than x along the last axis."""

    def inverse_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of z."""
        return (*shape[:-1], shape[-1] - self.less) if self.less else shape

    def each(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the densities, one for each event."""
        return shape[: len(shape) - self.event_dim]


def _logs(z: Any) -> tuple[Any, Any]:
    """Log x and log(1 - x) for x = sigmoid(z)."""
    return log_sigmoid(z), log_sigmoid(-z)


def _shape_for(key: Any, shape: Any, *parameters: Any) -> tuple[Any, tuple[Any, ...]]:
    """Two keys, and the parameters for every value."""
    return streams(key, "site.first", "site.second"), tuple(
        jnp.broadcast_to(p, shape) for p in parameters
    )


# Beta: z = log x - log(1 - x), and so the difference of two log-gamma variables.
def _beta(z: Any, a: Any, b: Any) -> Any:
    log_x, log_rest = _logs(z)
    return a * log_x + b * log_rest - betaln(a, b)


def _draw_beta(key: Any, shape: Any, a: Any, b: Any) -> Any:
    (first, second), (a, b) = _shape_for(key, shape, a, b)
    return jax.random.loggamma(first, a) - jax.random.loggamma(second, b)


# Gamma and Weibull: z = log x.
def _gamma(z: Any, a: Any, rate: Any) -> Any:
    scaled = z + jnp.log(rate)
    return a * scaled - jnp.exp(scaled) - gammaln(a)


def _draw_gamma(key: Any, shape: Any, a: Any, rate: Any) -> Any:
    _, (a, rate) = _shape_for(key, shape, a, rate)
    return jax.random.loggamma(key, a) - jnp.log(rate)


def _weibull(z: Any, k: Any, scale: Any) -> Any:
    scaled = k * (z - jnp.log(scale))
    return jnp.log(k) + scaled - jnp.exp(scaled)


def _draw_weibull(key: Any, shape: Any, k: Any, scale: Any) -> Any:
    _, (k, scale) = _shape_for(key, shape, k, scale)
    return jnp.log(scale) - jax.random.gumbel(key, shape) / k


# Uniform on (low, high): z is logistic.
def _uniform(z: Any, low: Any, high: Any) -> Any:
    del low, high
    log_x, log_rest = _logs(z)
    return log_x + log_rest


# Kumaraswamy: log(1 - x^a) from log x, which sigmoid's logarithm gives to its last digit.
def _log_rest(log_x: Any) -> Any:
    """Log(1 - exp(log_x)) for log_x < 0."""
    tiny = jnp.finfo(log_x.dtype).tiny
    log_x = jnp.minimum(log_x, -tiny)
    early = jnp.log(-jnp.expm1(jnp.maximum(log_x, -1.0)))
    return jnp.where(log_x > -1.0, early, jnp.log1p(-jnp.exp(jnp.minimum(log_x, -0.5))))


def _kumaraswamy(z: Any, a: Any, b: Any) -> Any:
    log_x, log_rest = _logs(z)
    # Where x is so near to 1 that log x is zero in float32, log(1 - x^a) is log a - z.
    away = jnp.where(z > 60.0, jnp.log(a) - z, _log_rest(a * log_x))
    return jnp.log(a) + jnp.log(b) + a * log_x + (b - 1) * away + log_rest


def _draw_kumaraswamy(key: Any, shape: Any, a: Any, b: Any) -> Any:
    _, (a, b) = _shape_for(key, shape, a, b)
    away = -jax.random.exponential(key, shape) / b  # log(1 - x^a)
    log_x = _log_rest(away) / a
    # Near 1 the distance 1 - x is (1 - x^a) / a.
    return jnp.where(away < -60.0, jnp.log(a) - away, log_x - _log_rest(log_x))


# Dirichlet: stick-breaking, of which every part has a logarithm in z.
def _log_sticks(z: Any) -> tuple[Any, Any]:
    """Logarithms of the parts x of a stick, and of what is left before each but the last."""
    size = z.shape[-1]
    # As NumPyro does: z = 0 are equal parts.
    taken, kept = _logs(z - jnp.log(size - jnp.arange(size, dtype=z.dtype)))
    left = jnp.cumsum(kept, axis=-1)
    none = jnp.zeros_like(z[..., :1])
    before = jnp.concatenate([none, left], axis=-1)
    return jnp.concatenate([taken, none], axis=-1) + before, kept


def _dirichlet(z: Any, concentration: Any) -> Any:
    log_x, kept = _log_sticks(z)
    norm = gammaln(jnp.sum(concentration, axis=-1)) - jnp.sum(gammaln(concentration), axis=-1)
    # The Jacobian of x_i in z_i is x_i times what is kept of the stick.
    jacobian = jnp.sum(log_x[..., :-1] + kept, axis=-1)
    return norm + jnp.sum((concentration - 1) * log_x, axis=-1) + jacobian


def _draw_dirichlet(key: Any, shape: Any, concentration: Any) -> Any:
    logs = jax.random.loggamma(key, jnp.broadcast_to(concentration, shape))
    after = jax.lax.cumlogsumexp(logs, axis=logs.ndim - 1, reverse=True)[..., 1:]
    size = shape[-1] - 1
    return logs[..., :-1] - after + jnp.log(size - jnp.arange(size, dtype=logs.dtype))


def _sigmoid(z: Any, *_: Any) -> Any:
    """Off both ends, as NumPyro's own: a likelihood may take the logarithm of x or of 1 - x."""
    info = jnp.finfo(z.dtype)
    return jnp.clip(jax.nn.sigmoid(z), info.tiny, 1 - info.eps)


def _exp(z: Any, *_: Any) -> Any:
    return jnp.exp(z)


def _between(z: Any, low: Any, high: Any) -> Any:
    return low + (high - low) * _sigmoid(z)


CLOSED = {
    dist.Beta: Closed(
        lambda fn: (fn.concentration1, fn.concentration0),
        _sigmoid,
        _beta,
        _draw_beta,
        ("far", "near"),
    ),
    dist.Gamma: Closed(
        lambda fn: (fn.concentration, fn.rate), _exp, _gamma, _draw_gamma, ("far", "far")
    ),
    dist.Weibull: Closed(
        lambda fn: (fn.concentration, fn.scale), _exp, _weibull, _draw_weibull, ("far", "far")
    ),
    dist.Uniform: Closed(
        lambda fn: (fn.low, fn.high),
        _between,
        _uniform,
        lambda key, shape, *_: jax.random.logistic(key, shape),
        ("near", "near"),
    ),
    dist.Kumaraswamy: Closed(
        lambda fn: (fn.concentration1, fn.concentration0),
        _sigmoid,
        _kumaraswamy,
        _draw_kumaraswamy,
        ("far", "near"),
    ),
    dist.Dirichlet: Closed(
        lambda fn: (fn.concentration,),
        lambda z, _: jnp.exp(_log_sticks(z)[0]),
        _dirichlet,
        _draw_dirichlet,
        ("near", "near"),
        event_dim=1,
        less=1,
    ),
}
"""By NumPyro's class; a subclass that keeps the density (BetaProportion, Chi2) is found too."""
