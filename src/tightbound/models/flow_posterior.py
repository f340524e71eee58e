"""Flows as posteriors: of x, beginning as a linear regression of z on it, or of features.

Durkan, Bekasov, Murray & Papamakarios 2019, arXiv 1906.04032 (the couplings, their number and the
splines' bins).
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.compilation import jit
from tightbound.core.streams import first_keys, stream
from tightbound.distributions import SplineFlow
from tightbound.distributions.spline_flow import SplineCoupling
from tightbound.distributions.splines import n_parameters
from tightbound.models.bayesian import Bayesian
from tightbound.models.model import Model
from tightbound.models.standardization import view
from tightbound.networks import (
    MLP,
    Dense,
    Features,
    Joined,
    Squashed,
    Standardization,
    WithCondition,
    viewing,
)

COUPLINGS = 5
BINS = 10
HIDDEN = (64, 64)
"""Widths of a coupling's network behind features."""
PAIRS = 20_000
"""Draws of the model behind the regression."""
LEAST = 1e-6
"""Variance of what the regression leaves, at least, as a share of that of z."""


def flow(
    model: Model | Bayesian,
    size: int,
    columns: int,
    hidden: Sequence[int],
    activation: str,
    key: PRNGKeyArray,
    *,
    regressed: bool = True,
) -> SplineFlow:
    """A flow q(z|x) for z of a size, given so many numbers seen of x and the model's condition.

    Where the model draws (x, z), and has no condition, networks see x standardised by the moments
    of such draws, and the flow begins as the normal of a linear regression of z on what they see;
    else, or if it is not to be `regressed`, it begins as N(0, I).
    """
    units, start = view(model), None
    offers = model.prior.offers & model.likelihood.offers
    if regressed and "samples" in offers and columns and not model.condition:
        x, z = _pairs(model, stream(key, "flow.regression"))
        units = Standardization.of(x) if units is None else units
        start = _regression(_seen(units, x), z)
    n_in = columns + model.condition

    def shown(trunk: Callable[..., Any], behind: int) -> Any:
        reader = WithCondition(trunk) if model.condition else trunk
        return viewing(reader, units, behind=behind)

    return _made(size, n_in, hidden, activation, key, shown, start)


def flow_of_features(size: int, width: int, activation: str, key: PRNGKeyArray) -> SplineFlow:
    """A flow q(z|h) for z of a size, given so many features h; it begins as N(0, I)."""
    return _made(size, width, HIDDEN, activation, key, lambda trunk, behind: trunk, None)


def _made(
    size: int,
    n_in: int,
    hidden: Sequence[int],
    activation: str,
    key: PRNGKeyArray,
    shown: Callable[[Any, int], Any],
    start: tuple[Any, Any, Any] | None,
) -> SplineFlow:
    """A flow given `n_in` numbers, on networks as they are `shown` what they are given.

    It begins as the normal of a regression, of slopes, constants and factor, or as N(0, I).
    """

    def joined(trunk: Callable[..., Any], width: int, n_out: int, behind: int) -> Joined:
        head = Dense(jnp.zeros((width, n_out)), jnp.zeros(n_out))
        return Joined(shown(trunk, behind), head)

    def coupling(number: int, key: PRNGKeyArray) -> SplineCoupling:
        trunk = MLP.glorot(size + n_in, tuple(hidden), activation=activation, key=key)
        width = (size + n_in, *hidden)[-1]
        network = joined(Squashed(trunk), width, size * n_parameters(BINS), size)
        return SplineCoupling(network, parity=number % 2)

    keys = enumerate(first_keys(stream(key, "flow.couplings"), COUPLINGS))
    couplings = tuple(coupling(number, key) for number, key in keys)
    # What is linear sees x itself: the posterior of a linear model is then where it begins.
    centre = joined(MLP((), activation), n_in, size, 0)
    if start is None:
        return SplineFlow(centre, jnp.zeros(size), jnp.zeros((size, size)), couplings)
    slope, middle, factor = start
    in_its_units = np.linalg.solve(factor, np.concatenate([slope, middle[None]]).T).T
    scale = np.diagonal(factor)
    slope, middle, log_scale, below = (
        jnp.asarray(part, jnp.float32)
        for part in (in_its_units[:-1], in_its_units[-1], np.log(scale), factor / scale[:, None])
    )
    centre = Joined(centre.trunk, Dense(slope, middle))
    return SplineFlow(centre, log_scale, jnp.tril(below, -1), couplings)


def _pairs(model: Any, key: PRNGKeyArray) -> tuple[np.ndarray, np.ndarray]:
    """Draws (x, z) of the model, a row each."""
    x, z = jit(jax.vmap(model.sample))(first_keys(key, PAIRS))
    return np.asarray(x).reshape(PAIRS, -1), np.asarray(z)


def _seen(units: Standardization | Features | None, x: np.ndarray) -> np.ndarray:
    return x if units is None else np.asarray(units(jnp.asarray(x)))


def _regression(
    x: Float[np.ndarray, "n d"], z: Float[np.ndarray, "n z"]
) -> tuple[Float[np.ndarray, "d z"], Float[np.ndarray, " z"], Float[np.ndarray, "z z"]]:
    """Slopes and constants of z on x, and the Cholesky factor of what is left."""
    x, z = x.astype(np.float64), z.astype(np.float64)
    beside = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    found = np.linalg.lstsq(beside, z, rcond=None)[0]
    left = np.cov(z - beside @ found, rowvar=False).reshape(z.shape[1], z.shape[1])
    spread = np.maximum(z.var(axis=0), np.finfo(np.float32).tiny)
    return found[:-1], found[-1], np.linalg.cholesky(left + np.diag(LEAST * spread))
