"""What is not observed given what is: weighted draws, on which every task on data with holes rests.

Z is drawn from q(z|x_observed), weighted by w = p(x_observed, z) / q(z|x_observed), and what is
missing from p(x_missing|x_observed, z). A model whose latent variable takes finitely many values
needs no q: all of them are weighed, exactly. Where the mask has a model (`tb.models.missingness`),
all is given the mask too, and what is missing is made of z and its noise.

Reference: Mattei & Frellsen 2019, arXiv 1812.02633, section 3 (self-normalised weights for single
imputation, eq. 12; sampling importance resampling for multiple imputation).
Bias: of order 1 / ESS in means and draws; none where z is enumerated.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, observed, values
from tightbound.core.streams import first_keys, item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractExplicit, AbstractFinite
from tightbound.evidence.adaptive.adaptation import AbstractAdaptation, adapted
from tightbound.evidence.adaptive.amis import AMIS
from tightbound.evidence.batches import Batch, Prepared, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.evidence.importance.pareto import khat, tail_length
from tightbound.models import Bayesian, Model
from tightbound.models.finite import enumerated_log_joint, numbers_of_each
from tightbound.models.weights import resampled
from tightbound.tasks.enough import FEWEST, too_few
from tightbound.tasks.marginals import single

K = 1000
"""Draws of z for each datum, of which those of the predictive distribution are chosen."""
NUMBERS = 4_000_000
"""Numbers of all draws that are held on the device at once."""
ROUNDS = 5
"""Rounds in which a proposal is adapted to one datum."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictive:
    """Draws of p(x_missing | x_observed) for n data; what is observed stays as it is."""

    draws: Float[np.ndarray, "m n *item"]
    """m whole data for each, of equal weight and in no order."""
    mean: Float[np.ndarray, "n *item"]
    """What is expected, by all k draws of z: the mean of `draws` but for their noise; of an entry
    that has levels, the number of the most probable one."""
    mean_stderr: Float[np.ndarray, "n *item"]
    """Standard error of `mean` from the draws of z, by the delta method: 0 where nothing is drawn,
    NaN of an entry that has levels. Where `ess` is near 1 it is too small."""
    level_probs: dict[int, Float[np.ndarray, "n levels"]]
    """The probability of each level, by the number of the entry that has levels; 1 where it is
    known."""
    observed: Bool[np.ndarray, "n *item"]
    """Which values are known."""
    log_evidence: Float[np.ndarray, " n"]
    """Log p(x_observed) in nats, by the same draws of z; with the mask, if that has a model."""
    stderr: Float[np.ndarray, " n"]
    """Its standard error from the draws; NaN for k = 1."""
    ess: Float[np.ndarray, " n"]
    """Effective number of draws of z, of k; infinite where all z are enumerated."""
    khat: Float[np.ndarray, " n"]
    """Shape of the weights' tail: beyond 0.7 draws of z are too few, whatever their number."""
    k: int
    adapted: Bool[np.ndarray, " n"]
    """Data for which the proposal was adapted, with as many draws of z besides."""
    seconds: float

    def interval(
        self, level: float = 0.95
    ) -> tuple[Float[np.ndarray, "n *item"], Float[np.ndarray, "n *item"]]:
        """The central interval of each value by the quantiles of the draws; one point if known.

        Of m draws the j-th smallest has probability j / (m + 1) below it on average: a further draw
        lies in the interval with the level's own probability, however few draws there are (Hyndman
        & Fan 1996, Am. Stat. 50(4), definition 6).

        Raises:
            UsageError: A level outside (0, 1), or fewer draws than its ends need.
        """
        if not 0 < level < 1:
            raise UsageError(f"expected level between 0 and 1, got {level}")
        needed = int(np.ceil(2 / (1 - level)))
        if len(self.draws) < needed:
            raise UsageError(
                f"an interval of {level:g} needs draws={needed} or more, got {len(self.draws)}"
            )
        ends = (1 - level) / 2, (1 + level) / 2
        low, high = np.quantile(self.draws, ends, axis=0, method="weibull")
        return low, high


def predictive(
    model: Model | Bayesian,
    posterior: Any,
    x: DataLike,
    *,
    draws: int = 100,
    k: int = K,
    adapt: bool = False,
    **execution: Unpack[ExecutionSettings],
) -> Predictive:
    """Draws of the missing values of each datum given those that are there.

    Args:
        model: p(x, z) whose likelihood knows what entries are given others (`sample_missing`).
        posterior: q(z|x), the proposal; None for a model of finitely many z.
        x: Data of shape (n, *item), NaN where values are missing; or a source of them.
        draws: Whole data for each datum.
        k: Draws of z of which they are chosen with probability proportional to their weights.
        adapt: Fit a proposal to each datum of which k draws of q are too few (k-hat beyond 0.7 or
            fewer than 20 effective ones), by k draws in five rounds of `tb.evidence.AMIS`, and draw
            k of that. It stays with q where z is not of real numbers, and for k below 100.
        execution: `key`, `binarize`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Data that do not suit the model, a posterior where there must be none or none
            where there must be one, a likelihood that does not factorise and has no conditional.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    run = Execution.of(predictive, execution, without=("chunk", "resume", "keep"))
    model = single(model)
    draws, k = at_least(1, draws=draws, k=k)
    finite = isinstance(model.prior, AbstractFinite) and posterior is None
    if not finite:
        posterior = with_density(posterior, model, run.key, "predictive draws")
    data = prepared(model, x, run.binarize, run.key)

    def by(method: AMIS | None, data: Prepared, doing: str, of_each: int) -> Any:
        def one_batch(seen: Data, items: Int[Array, " b"]) -> Batch:
            keys = item_keys(stream(data.noise_key, "predictive.z"), items)
            return Batch(*_predicted(model, posterior, seen, keys, method, k=k, draws=draws))

        return run.over(one_batch, data, doing=doing, at_once=per_device(NUMBERS, of_each=of_each))

    size = numbers_of_each(model, max(1, data.source.size))
    each = size * ((model.prior.states if finite else k) + draws)
    found = by(None, data, "predicting", each)
    known = ~np.isnan(data.source.read())
    poor = np.zeros(len(known), bool)
    if adapt and k >= ROUNDS * FEWEST and not finite and model.prior.support == "real":
        some = ~known.reshape(len(known), -1).all(axis=1)
        poor = some & too_few(found.khat, found.ess)
    if poor.any():
        rows = np.flatnonzero(poor)
        method = AMIS(each=-(-k // ROUNDS), rounds=ROUNDS)
        better = by(method, data._replace(chosen=rows), "adapting", 2 * each)
        for old, new in zip(jax.tree.leaves(found), jax.tree.leaves(better), strict=True):
            old[rows] = new
    return Predictive(
        draws=np.swapaxes(found.draws, 0, 1),
        mean=found.mean,
        mean_stderr=found.mean_stderr,
        level_probs=found.level_probs,
        observed=known,
        log_evidence=found.log_evidence,
        stderr=found.stderr,
        ess=found.ess,
        khat=found.khat,
        k=k,
        adapted=poor,
        seconds=run.seconds,
    )


class _Found(NamedTuple):
    draws: Float[Array, "n m *item"]
    mean: Float[Array, "n *item"]
    mean_stderr: Float[Array, "n *item"]
    level_probs: dict[int, Float[Array, "n _levels"]]
    log_evidence: Float[Array, " n"]
    stderr: Float[Array, " n"]
    ess: Float[Array, " n"]
    khat: Float[Array, " n"]


@filter_jit
def _predicted(
    model: Model,
    posterior: AbstractExplicit | None,
    x: Data,
    keys: Key[Array, " n"],
    method: AbstractAdaptation | None,
    *,
    k: int,
    draws: int,
) -> tuple[_Found, Int[Array, " n"]]:
    def one(x: Any, key: PRNGKeyArray) -> tuple[_Found, Int[Array, ""]]:
        z, log_w = weighed(model, posterior, x, key, k)
        astray = jnp.asarray(0)
        if method is not None:
            rounds_key = stream(key, "predictive.adapted")
            found = adapted(method, lambda z: model.log_joint(x, z), z, rounds_key)
            z, log_w, astray = found.z, found.log_w, found.astray
        undefined = jnp.sum(jnp.isnan(log_w) | (log_w == jnp.inf)) + astray
        # Behind the end of a sequence values are what the model goes on with.
        keys = first_keys(stream(key, "predictive.behind"), log_w.shape[0])
        whole = jax.vmap(lambda z, key: model.whole(x, z, key))(z, keys)
        shares = jax.nn.softmax(log_w)
        known = values(x), observed(x)

        def mean(given: Any) -> Float[Array, "*item"]:
            return model.likelihood.mean_missing(*known, given)

        def draw(number: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, "*item"]:
            of = jax.tree.map(lambda leaf: leaf[number], whole)
            # Values that the model went on by are part of the draw.
            there = known if of.filled is None else (of.filled.x, of.filled.observed)
            return model.likelihood.sample_missing(*there, of.given, key=key)

        def averaged(values: Float[Array, "k *s"]) -> Float[Array, "*s"]:
            # Zero times what a draw without weight expects, which may be anything.
            weight = shares.reshape(-1, *(1,) * (values.ndim - 1))
            return jnp.sum(jnp.where(weight > 0, weight * values, 0.0), axis=0)

        means = jax.vmap(mean)(whole.given)
        expected = averaged(means)
        off = jnp.zeros_like(expected)
        if posterior is not None:
            weight = shares.reshape(-1, *(1,) * expected.ndim)
            # Of each draw its share of the error: the square of share times distance.
            off = jnp.sqrt(
                jnp.sum(jnp.where(weight > 0, weight * (means - expected[None]), 0.0) ** 2, axis=0)
            )
        probs = jax.tree.map(averaged, jax.vmap(model.likelihood.level_probs)(whole.given))
        for place, of_levels in probs.items():
            expected = expected.at[place].set(jnp.argmax(of_levels).astype(expected.dtype))
            off = off.at[place].set(jnp.nan)
            level = jax.nn.one_hot(known[0][place].astype(int), of_levels.shape[0])
            probs[place] = jnp.where(known[1][place], level, of_levels)
        expected = jnp.where(known[1], known[0], expected)
        off = jnp.where(known[1], 0.0, off)
        chosen = resampled(shares, draws, stream(key, "predictive.chosen"))
        drawn = jax.vmap(draw)(chosen, first_keys(stream(key, "predictive.x"), draws))
        return _Found(drawn, expected, off, probs, *accuracy(log_w, posterior)), undefined

    return jax.vmap(one)(x, keys)


def weighed(
    model: Model, posterior: AbstractExplicit | None, x: Any, key: PRNGKeyArray, k: int
) -> tuple[Any, Float[Array, " k"]]:
    """Values of z and their log-weights: draws, or all that there are."""
    if posterior is None:
        alone = jax.tree.map(lambda leaf: leaf[None], x)
        return model.prior.enumerate(), enumerated_log_joint(model, alone)[0]

    def each(key: PRNGKeyArray) -> tuple[Any, Float[Array, ""]]:
        z, log_q = posterior.sample_and_log_prob(x, key=key)
        return z, model.log_joint(x, z) - log_q

    return jax.vmap(each)(first_keys(key, k))


def accuracy(
    log_w: Float[Array, " k"], posterior: AbstractExplicit | None
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Log p(x_observed), its standard error, the effective number of draws, and k-hat."""
    if posterior is None:
        total = jax.nn.logsumexp(log_w)
        return (
            total,
            jnp.zeros_like(total),
            jnp.full_like(total, jnp.inf),
            -jnp.full_like(total, jnp.inf),
        )
    k = log_w.shape[0]
    largest = jax.lax.top_k(log_w, min(tail_length(k) + 1, k))[0][::-1]
    return *mean_weight(log_w), khat(largest)


def mean_weight(
    log_w: Float[Array, " k"],
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Log of the mean of k weights in nats, its standard error, the effective number of draws.

    One weight does not tell how far it errs: the error is then NaN.
    """
    total, k = jax.nn.logsumexp(log_w), log_w.shape[0]
    shares = jnp.exp(log_w - total)
    ess = 1 / jnp.sum(shares**2)
    stderr = jnp.sqrt(jnp.maximum(1 / ess - 1 / k, 0.0)) if k > 1 else jnp.full_like(ess, jnp.nan)
    return total - jnp.log(float(k)), stderr, ess
