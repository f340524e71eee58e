"""The posterior p(z|x) of each row by its moments and draws: what `encode` and `embed` are made of.

Draws of q(z|x) are weighed by w = p(x, z) / q(z|x). The mean takes q's own mean, where that is
known, for a control variate: m + sum_i (w_i / sum w - 1 / k) (z_i - m), which is m where q is
exact. The variance is about the weighted mean, divided by 1 - 1 / ESS. A finite z is enumerated in
double precision; it stands there as one indicator for each of its values.

Reference: Mattei & Frellsen 2019, arXiv 1812.02633, section 3 (self-normalised weights); Owen 2013,
Monte Carlo theory, methods and examples, sections 8.9 (control variates) and 9.2 (weights); Rubin
1988, Bayesian Statistics 3 (sampling importance resampling).
Bias: of order 1 / ESS; none of a finite z, nor of the mean where q is exact.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.items import Data
from tightbound.core.streams import item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractExplicit, AbstractFinite, DiagonalNormal, FullNormal
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.draws import without_padding
from tightbound.evidence.exact.double import double, undrawn, widened
from tightbound.evidence.execution import Execution, per_device
from tightbound.models import Model
from tightbound.models.finite import enumerated_log_joint
from tightbound.models.shapes import like_z
from tightbound.models.weights import resampled
from tightbound.tasks.predictive import NUMBERS, accuracy, weighed

MEANS = (DiagonalNormal, FullNormal)
"""Posteriors whose `mean` is that of their draws."""


class Codes(NamedTuple):
    """What is known of z of n rows; several layers stand one behind the other, the bottom first.

    Of sequences the steps' states, NaN behind the end of each.
    """

    mean: Float[Any, "n latent"]
    sd: Float[Any, "n latent"]
    """NaN where one draw has all the weight."""
    draws: Float[Any, "n draws latent"]
    """Of equal weight, in no order."""
    log_evidence: Float[Any, " n"]
    stderr: Float[Any, " n"]
    ess: Float[Any, " n"]
    khat: Float[Any, " n"]


def enumerated(model: Model, posterior: Any) -> bool:
    """Whether z takes finitely many values, which are all weighed."""
    return isinstance(model.prior, AbstractFinite) and posterior is None


def coded(
    model: Model, posterior: Any, x: DataLike, run: Execution, *, k: int, draws: int, doing: str
) -> Codes:
    """The posterior of each row, by k draws of q(z|x), or exactly where z is enumerated.

    Raises:
        UsageError: As for `tb.tasks.predictive`.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    finite = enumerated(model, posterior)
    data = prepared(model, x, run.binarize, run.key, np.float64 if finite else np.float32)
    if not finite:
        posterior = with_density(posterior, model, run.key, "latent means")

    def one_batch(seen: Data, rows: Int[Array, " b"]) -> Batch:
        keys = item_keys(stream(data.noise_key, "encode.z"), rows)
        if not finite:
            return Batch(*_drawn(model, posterior, seen, keys, k=k, draws=draws))
        with double():
            exact = undrawn(data, seen, rows)
            found, undefined = _summed(widened(model), exact, keys, draws=draws)
            return Batch(*jax.tree.map(np.asarray, (found, undefined)))

    each = (model.prior.states if finite else k) * max(1, data.source.size)
    found = run.over(one_batch, data, doing=doing, at_once=per_device(NUMBERS, of_each=each))
    ends = data.steps
    if ends is None:
        return found

    def ended(z: Float[np.ndarray, "n ... latent"]) -> Float[np.ndarray, "n ... latent"]:
        paths = z.reshape(len(z), -1, *like_z(model).shape)
        return without_padding(paths, ends).reshape(z.shape)

    return found._replace(mean=ended(found.mean), sd=ended(found.sd), draws=ended(found.draws))


@filter_jit
def _drawn(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    k: int,
    draws: int,
) -> tuple[Codes, Int[Array, " n"]]:
    def one(x: Any, key: PRNGKeyArray) -> tuple[Codes, Int[Array, ""]]:
        z, log_w = weighed(model, posterior, x, key, k)
        z = jax.vmap(lambda z: ravel_pytree(z)[0])(z)
        shares = jax.nn.softmax(log_w)
        mean = jnp.sum(shares[:, None] * z, axis=0)
        centred = jnp.sum(shares[:, None] * (z - mean[None]) ** 2, axis=0)
        rest = 1 - jnp.sum(shares**2)
        sd = jnp.where(rest > 0, jnp.sqrt(centred / jnp.where(rest > 0, rest, 1)), jnp.nan)
        if isinstance(posterior, MEANS):
            centre = posterior.mean(x)
            mean = centre + jnp.sum((shares[:, None] - 1 / k) * (z - centre[None]), axis=0)
        chosen = resampled(shares, draws, stream(key, "encode.chosen"))
        undefined = jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf))
        return Codes(mean, sd, z[chosen], *accuracy(log_w, posterior)), undefined

    return jax.vmap(one)(x, keys)


@filter_jit
def _summed(
    model: Model, x: Data, keys: Key[Array, " n"], *, draws: int
) -> tuple[Codes, Int[Array, " n"]]:
    def one(log_w: Float[Array, " states"], key: PRNGKeyArray) -> tuple[Codes, Int[Array, ""]]:
        shares = jax.nn.softmax(log_w)
        sd = jnp.sqrt(shares * (1 - shares))
        chosen = resampled(shares, draws, stream(key, "encode.state"))
        drawn = jax.nn.one_hot(chosen, log_w.shape[0], dtype=shares.dtype)
        undefined = jnp.sum(jnp.isnan(shares))
        return Codes(shares, sd, drawn, *accuracy(log_w, None)), undefined

    return jax.vmap(one)(enumerated_log_joint(model, x), keys)
