"""Active units: how many latent units carry information about the datum.

Reference: Burda et al. 2015, arXiv 1509.00519, section 5.2: A_u = Cov_x(E_{q(u|x)}[u]) > 0.01.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
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
from tightbound.models.weights import sample, split_each

THRESHOLD = 0.01


class LayerUnits(NamedTuple):
    """The activity of one stochastic layer."""

    variance: Float[np.ndarray, " u"]
    """A_u, the variance over the data of the posterior mean of each unit."""
    spectrum: Float[np.ndarray, " u"]
    """Eigenvalues of Cov_x(E_q[u]), largest first: activity that does not depend on the axes."""
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
    if not isinstance(posterior, AbstractExplicit):
        means = [_draws(posterior, values, draw_keys)]
    elif isinstance(posterior, AbstractSteps):
        paths = np.asarray(_paths(posterior, values))
        ends = np.full(len(paths), posterior.steps) if data.steps is None else data.steps
        means = [paths[np.arange(posterior.steps) < ends[:, None]][:, None]]
    elif isinstance(posterior, TopDown):
        means = list(_means_downwards(posterior, values, draw_keys))
    else:
        layers = posterior.conditionals if isinstance(posterior, Layered) else (posterior,)
        means = [jax.vmap(layers[0].mean)(values)[:, None]]
    if isinstance(posterior, Layered):
        means += _upper_means(posterior, values, draw_keys)
    units = [_activity(np.asarray(mean, np.float64)) for mean in means]
    if isinstance(prior, StandardNormal) and isinstance(posterior, DiagonalNormal):
        units[0] = units[0]._replace(kl=_kl_per_unit(posterior, values))
    return units


@filter_jit
def _paths(posterior: AbstractSteps, x: Data) -> Float[Array, "n steps u"]:
    """The chain of means of each sequence."""
    return jax.vmap(posterior.mean)(x)


@filter_jit
def _draws(
    posterior: AbstractConditional, x: Data, keys: Key[Array, "n s"]
) -> Float[Array, "n s u"]:
    """Draws of q(z|x), which has no mean in closed form."""
    return jax.vmap(lambda x, keys: jax.vmap(lambda key: posterior.sample(x, key=key))(keys))(
        x, keys
    )


@filter_jit
def _upper_means(
    posterior: Layered, x: Data, keys: Key[Array, "n s"]
) -> list[Float[Array, "n s u"]]:
    """Conditional means of the layers above the first, at draws of the layers below them."""
    z, _ = sample(posterior, x, keys)
    return [
        jax.vmap(jax.vmap(conditional.mean))(below)
        for conditional, below in zip(posterior.conditionals[1:], z[:-1], strict=True)
    ]


@filter_jit
def _means_downwards(
    posterior: TopDown, x: Data, keys: Key[Array, "n s"]
) -> tuple[Float[Array, "n s u"], ...]:
    """Conditional means of all layers, bottom layer first, at draws of the layers above them."""
    z, _ = sample(posterior, x, keys)
    return jax.vmap(jax.vmap(posterior.means_given, in_axes=(0, None)))(z, x)


def _activity(means: Float[np.ndarray, "n s u"]) -> LayerUnits:
    """Covariance over data of the mean over draws, less what the spread of the draws adds."""
    n, s, _ = means.shape
    covariance = np.atleast_2d(np.cov(means.mean(axis=1), rowvar=False))
    if s > 1:
        within = means - means.mean(axis=1, keepdims=True)
        covariance -= np.einsum("nsu,nsv->uv", within, within) / (n * s * (s - 1))
    spectrum = np.linalg.eigvalsh(covariance)[::-1]
    return LayerUnits(np.diag(covariance).copy(), spectrum.copy(), None)


def _kl_per_unit(posterior: DiagonalNormal, x: Data) -> Float[np.ndarray, " u"]:
    """AEVB appendix B, unit by unit."""
    mu, sigma = jax.vmap(posterior.parameters)(x)
    kl = 0.5 * (mu**2 + sigma**2 - 1) - jnp.log(sigma)
    return np.asarray(jnp.mean(kl, axis=0))
