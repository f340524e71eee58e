"""Linear-Gaussian models x = W z + b + s * epsilon: probabilistic PCA and factor analysis.

Reference: Tipping & Bishop 1999, JRSS B 61(3), eq. 2-4: x ~ N(b, W W' + diag(s^2)).
"""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from tightbound.core.errors import UsageError
from tightbound.distributions import DiagonalNormal, StandardNormal
from tightbound.likelihoods import Standardized
from tightbound.models.model import Model
from tightbound.models.standardization import standardization
from tightbound.networks import MLP, Dense


def linear_gaussian(loading: ArrayLike, offset: ArrayLike, scale: ArrayLike | float) -> Model:
    """A model whose evidence and posterior are known: `tb.evidence.exact` takes it as it is.

    Args:
        loading: W of shape (d, latent).
        offset: b of shape (d,).
        scale: Standard deviations s > 0 of the noise, shape (d,) or one number.

    Raises:
        UsageError: Shapes that do not fit, or a scale that is not positive.
    """
    w, b, s = (np.asarray(a, np.float32) for a in (loading, offset, scale))
    if w.ndim != 2 or b.shape != w.shape[:1] or s.shape not in {(), b.shape}:
        raise UsageError(
            "expected a loading of shape (d, latent), an offset of shape (d,) and a scale of shape "
            f"(d,) or (), got {w.shape}, {b.shape} and {s.shape}"
        )
    if not np.all(s > 0):
        raise UsageError(f"expected scales above 0, got {s}")
    location = Dense(jnp.asarray(w.T), jnp.asarray(b))
    log_scale = Dense(jnp.zeros_like(location.weight), jnp.log(jnp.broadcast_to(s, b.shape)))
    return Model(StandardNormal(w.shape[1]), DiagonalNormal(MLP((), "tanh"), location, log_scale))


def is_linear_gaussian(model: Model) -> bool:
    """Whether the model is a standard normal prior under an affine normal of constant scale."""
    likelihood = _of_networks(model)
    if not (isinstance(model.prior, StandardNormal) and isinstance(likelihood, DiagonalNormal)):
        return False
    trunk = likelihood.trunk
    affine = isinstance(trunk, MLP) and not trunk.layers and not likelihood.unit_mean
    scale = likelihood.log_scale
    return affine and isinstance(scale, Dense) and not np.any(np.asarray(scale.weight))


def linear_log_evidence(
    model: Model, x: Float[np.ndarray, "n d"], observed: Bool[np.ndarray, "n d"] | None = None
) -> Float[np.ndarray, " n"]:
    """Log N(x; b, W W' + diag(s^2)) in nats, in double precision, through the latent dimensions.

    Where only some values are observed it is the density of those: their rows of W, b and s.
    """
    likelihood, units = _of_networks(model), standardization(model)
    assert isinstance(likelihood, DiagonalNormal)
    location, log_scale = likelihood.location, likelihood.log_scale
    assert isinstance(location, Dense)
    assert isinstance(log_scale, Dense)
    x, log_units = np.asarray(x, np.float64), np.zeros(x.shape[1])
    if units is not None:
        scale = np.asarray(units.scale.values, np.float64)
        x, log_units = (x - np.asarray(units.shift.values, np.float64)) / scale, np.log(scale)
    w = np.asarray(location.weight, np.float64).T
    log_s = np.asarray(log_scale.bias, np.float64)
    away = (x - np.asarray(location.bias, np.float64)) / np.exp(log_s)
    log_s_of_x = log_s + log_units
    scaled = w / np.exp(log_s)[:, None]
    if observed is not None:
        return np.array(
            [
                _through_z(row[None, known], scaled[known], log_s_of_x[known])[0]
                for row, known in zip(away, observed, strict=True)
            ]
        )
    return _through_z(away, scaled, log_s_of_x)


def _through_z(
    away: Float[np.ndarray, "n d"], scaled: Float[np.ndarray, "d latent"], log_s: Any
) -> Float[np.ndarray, " n"]:
    """The log-density in nats of x, for (x - b) / s, W / s and log s."""
    # Woodbury: the posterior's precision I + W' diag(s^-2) W is as small as z.
    factor = np.linalg.cholesky(np.eye(scaled.shape[1]) + scaled.T @ scaled)
    projected = np.linalg.solve(factor, scaled.T @ away.T)
    distance = np.sum(away**2, axis=1) - np.sum(projected**2, axis=0)
    log_volume = np.sum(log_s) + np.sum(np.log(np.diagonal(factor)))
    return -0.5 * (distance + away.shape[1] * math.log(2 * math.pi)) - log_volume


def _of_networks(model: Model) -> Any:
    """The likelihood of what networks see."""
    likelihood = model.likelihood
    return likelihood.likelihood if isinstance(likelihood, Standardized) else likelihood
