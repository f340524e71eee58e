"""Mixtures as models, and as EM has them: both ways, and what keeps their parameters inside."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from tightbound.distributions import Categorical, GaussianComponents
from tightbound.likelihoods import TableComponents
from tightbound.models import Model
from tightbound.training.components import Blocks, Limits, Mixture, blocks

TABLE_FLOOR = 1e-4
"""Least eigenvalue of a covariance of a table's numbers, in units of each column's variance."""
LEAST_OF_COUNTS = 0.5
"""Least variance of whole numbers, at which a normal density at whole numbers adds up to 1."""


def as_mixture(model: Model) -> Mixture:
    """Shares, means, covariances and masses of levels."""
    of = model.likelihood
    numbers, logits = (of.numbers, of.logits) if isinstance(of, TableComponents) else (of, ())
    return Mixture(
        jax.nn.log_softmax(model.prior.logits),
        numbers.means,
        numbers.covariances(),
        tuple(jax.nn.log_softmax(each, axis=1) for each in logits),
    )


def as_model(mixture: Mixture, like: GaussianComponents | TableComponents) -> Model:
    """The model of a mixture, whose likelihood is of the kind of another one."""
    numbers = GaussianComponents.from_covariances(mixture.means, mixture.covariances)
    if not isinstance(like, TableComponents):
        return Model(Categorical(mixture.log_shares), numbers)
    of_table = TableComponents(
        numbers, mixture.log_levels, like.warps, like.counts, like.places, like.names
    )
    return Model(Categorical(mixture.log_shares), of_table)


class Seen(NamedTuple):
    """Data as EM sees them."""

    blocks: Blocks
    log_slope: Float[np.ndarray, " n"]
    """Nats by which log p of a row in its own units is more."""


def seen(likelihood: GaussianComponents | TableComponents, x: Float[np.ndarray, "n d"]) -> Seen:
    """Data as EM sees them: numbers in the units of the normal block, levels by number."""
    if not isinstance(likelihood, TableComponents):
        return Seen(blocks(x), np.zeros(len(x), x.dtype))
    numbers, of_levels = (np.array(places, int) for places in likelihood.places)
    known = ~np.isnan(x[:, numbers])
    centre = np.asarray(likelihood.warps.centre(x.dtype))
    whole = jnp.asarray(np.where(known, x[:, numbers], centre))
    u, log_slope = map(np.asarray, jax.vmap(likelihood.warps)(whole))
    levels = np.where(np.isnan(x[:, of_levels]), -1, x[:, of_levels]).astype(np.int32)
    found = blocks(np.where(known, u, np.nan).astype(x.dtype), tuple(levels.T))
    return Seen(found, np.sum(np.where(known, log_slope, 0.0), axis=1, dtype=x.dtype))


def limits_of(
    start: Mixture,
    likelihood: GaussianComponents | TableComponents,
    floor: float,
    shrinkage: float,
    rank: int | None = None,
) -> Limits:
    """What keeps a fit inside: the floor, and what covariances and tables are drawn to."""
    dtype = start.means.dtype
    least = np.full(start.means.shape[1], floor)
    if isinstance(likelihood, TableComponents):
        scale = np.asarray(likelihood.warps.scale.values, np.float64)
        least = np.where(likelihood.counts, np.maximum(least, LEAST_OF_COUNTS / scale**2), least)
    shares = jnp.exp(start.log_shares)
    return Limits(
        jnp.asarray(least, dtype),
        jnp.asarray(shrinkage, dtype),
        jnp.einsum("k,kij->ij", shares, start.covariances),
        jnp.ones((), dtype),
        tuple(shares @ jnp.exp(each) for each in start.log_levels),
        jnp.asarray(len(least) if rank is None else rank),
    )
