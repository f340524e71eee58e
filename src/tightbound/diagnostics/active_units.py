"""Active units: how many latent units carry information about the datum.

Reference: Burda et al. 2015, arXiv 1509.00519, section 5.2: A_u = Cov_x(E_{q(u|x)}[u]) > 0.01.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, One
from tightbound.core.streams import as_key, item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import (
    AbstractConditional,
    AbstractExplicit,
    AbstractSteps,
    DiagonalNormal,
    Layered,
    StandardNormal,
    TopDown,
    WithNoise,
)
from tightbound.evidence.batches import prepared
from tightbound.models import Bayesian, Model
from tightbound.models.weights import split_each

THRESHOLD = 0.01
WIDEST = 1000
"""Units of a layer whose covariance is looked at."""


class LayerUnits(NamedTuple):
    """The activity of one stochastic layer."""

    variance: Float[np.ndarray, " u"]
    """A_u, the variance over the data of the posterior mean of each unit."""
    spectrum: Float[np.ndarray, " eigenvalues"]
    """Eigenvalues of Cov_x(E_q[u]), largest first: activity that does not depend on the axes.

    Of more than 1,000 units there are none.
    """
    kl: Float[np.ndarray, " u"] | None
    """Mean KL(q(u|x) || p(u)) per unit in nats; None where it has no closed form."""

    @property
    def active(self) -> int:
        """Units with A_u > 0.01."""
        return int(np.sum(self.variance > THRESHOLD))


def active_units(
    model: Model | Bayesian,
    posterior: AbstractConditional,
    x: DataLike,
    *,
    binarize: str = "auto",
    draws: int = 100,
    key: int | PRNGKeyArray = 0,
) -> list[LayerUnits]:
    """Measures the activity of every unit of every layer, bottom layer first.

    E_q[u] is exact for the layer that is drawn first (the bottom one, or under top-down inference
    the top one). Of the others it is the mean over `draws` draws of the layers before, and the
    variance that their finite number adds is taken off again. (The authors' code takes one draw and
    does not.) The same goes for the draws of a posterior without a density.

    Of sequences every step is a datum, and its units are those of its state, with the mean along
    the chain of means in place of E_q[u].

    Args:
        model: p(x, z).
        posterior: q(z|x).
        x: Data of shape (n, d); IWAE's code takes 500 training images.
        binarize: As for `fit`; each item is drawn once.
        draws: Draws of the layers before, for those that are not drawn first, or of a posterior
            without a density.
        key: Seed or key of binarisation and draws.

    Raises:
        UsageError: Data outside the likelihood's support, of another width than the model's, or
            of fewer than two rows; no draws.
    """
    data = prepared(model, x, binarize, key)
    prior = model.prior
    if isinstance(prior, WithNoise) and isinstance(posterior, WithNoise):
        # The noise of missing values is no unit of the model.
        prior, posterior = prior.inner, posterior.inner
    if data.n < 2:
        raise UsageError("expected 2 rows of data or more to measure activity, got 1")
    (draws,) = at_least(1, draws=draws)
    draw_key = stream(as_key(key), "active_units.draws")
    values, items = data.seen(np.arange(data.n))
    draw_keys = split_each(item_keys(draw_key, items), draws)
    if isinstance(posterior, AbstractSteps):
        paths = np.asarray(_paths(posterior, values))
        ends = np.full(len(paths), posterior.steps) if data.steps is None else data.steps
        moments = [(paths[np.arange(posterior.steps) < ends[:, None]], None)]
    elif isinstance(posterior, AbstractExplicit) and not isinstance(posterior, TopDown):
        first = posterior.conditionals[0] if isinstance(posterior, Layered) else posterior
        moments = [(jax.vmap(first.mean)(values), None)]
        if isinstance(posterior, Layered):
            moments += _moments(posterior, values, draw_keys)
    else:
        moments = _moments(posterior, values, draw_keys)
    units = [_activity(mean, scatter, draws) for mean, scatter in moments]
    if isinstance(prior, StandardNormal) and isinstance(posterior, DiagonalNormal):
        units[0] = units[0]._replace(kl=_kl_per_unit(posterior, values))
    return units


@filter_jit
def _paths(posterior: AbstractSteps, x: Data) -> Float[Array, "n steps u"]:
    """The chain of means of each sequence."""
    return jax.vmap(posterior.mean)(x)


@filter_jit
def _moments(
    posterior: AbstractConditional, x: Data, keys: Key[Array, "n s"]
) -> list[tuple[Float[Array, "n u"], Float[Array, "..."]]]:
    """For each layer means over draws, and their scatter about them, summed over the data.

    Datum by datum: draws of all data together would not fit where layers are wide.
    """

    def one(scatter: Any, datum: Any) -> tuple[Any, list[Float[Array, " u"]]]:
        drawn = _means(posterior, *datum)
        means = [jnp.mean(of, axis=0) for of in drawn]
        each = [_scatter(of - mean[None]) for of, mean in zip(drawn, means, strict=True)]
        return jax.tree.map(jnp.add, scatter, each), means

    first = jax.tree.map(lambda leaf: leaf[0], (x, keys))
    shapes = eqx.filter_eval_shape(lambda datum: _means(posterior, *datum), first)
    nothing = [_scatter(jnp.zeros(of.shape, of.dtype)) for of in shapes]
    scatter, means = jax.lax.scan(one, nothing, (x, keys))
    return list(zip(means, scatter, strict=True))


def _means(
    posterior: AbstractConditional, x: One, keys: Key[Array, " s"]
) -> list[Float[Array, "s u"]]:
    """Of one datum the conditional means of each layer that is given others, at their draws."""
    z = jax.vmap(lambda key: posterior.sample(x, key=key))(keys)
    if isinstance(posterior, TopDown):
        return list(jax.vmap(posterior.means_given, in_axes=(0, None))(z, x))
    if isinstance(posterior, Layered):
        return [
            jax.vmap(conditional.mean)(below)
            for conditional, below in zip(posterior.conditionals[1:], z[:-1], strict=True)
        ]
    # Without a density its mean has no closed form.
    return [z]


def _scatter(centred: Float[Array, "s u"]) -> Float[Array, "..."]:
    """Products of all units, or of wide layers the squares alone."""
    if centred.shape[1] > WIDEST:
        return jnp.sum(centred**2, axis=0)
    return centred.T @ centred


def _activity(
    means: Float[Array | np.ndarray, "n u"], scatter: Float[Array, "..."] | None, draws: int
) -> LayerUnits:
    """Covariance over data of the mean over draws, less what the spread of the draws adds."""
    of_mean = np.asarray(means, np.float64)
    n, width = of_mean.shape
    added = 0.0
    if scatter is not None and draws > 1:
        added = np.asarray(scatter, np.float64) / (n * draws * (draws - 1))
    if width > WIDEST:
        return LayerUnits(np.var(of_mean, axis=0, ddof=1) - added, np.zeros(0), None)
    covariance = np.atleast_2d(np.cov(of_mean, rowvar=False)) - added
    spectrum = np.linalg.eigvalsh(covariance)[::-1]
    return LayerUnits(np.diag(covariance).copy(), spectrum.copy(), None)


def _kl_per_unit(posterior: DiagonalNormal, x: Data) -> Float[np.ndarray, " u"]:
    """AEVB appendix B, unit by unit."""
    mu, sigma = jax.vmap(posterior.parameters)(x)
    kl = 0.5 * (mu**2 + sigma**2 - 1) - jnp.log(sigma)
    return np.asarray(jnp.mean(kl, axis=0))
