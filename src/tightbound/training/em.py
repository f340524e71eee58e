"""Expectation maximisation where both steps are closed: mixtures of Gaussians, levels, pixels.

The E step is the exact posterior p(z|x), and of normal data what is expected of missing values. The
M step maximises the expected complete-data log-likelihood within bounds that keep the likelihood
finite: eigenvalues of a covariance are at least `floor`, or probabilities of a pixel at least
`floor` away from 0 and 1. The best covariance within the bound has the eigenvectors of the
weighted scatter and its eigenvalues raised to the floor; the best probability is the weighted mean,
moved to the nearer bound. Both steps are exact maximisers over the same set, so that log p(x)
itself never falls: nothing is added to it, and nothing to a covariance whose eigenvalues are large
enough.

Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3 (mixtures); Hathaway 1985, Ann.
Statist. 13(2) (bounds that keep the likelihood finite).
Bias: none in log p(x), which is summed over all components; a local maximum is found.
"""

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import NonFiniteError, UsageError, at_least
from tightbound.core.items import Data, Datum, One, observed, values
from tightbound.data import DataLike
from tightbound.data.binarise import Binarisation
from tightbound.distributions import BernoulliComponents, Categorical, GaussianComponents
from tightbound.likelihoods import TableComponents
from tightbound.models.finite import enumerated_log_joint, items_at_once
from tightbound.models.model import Model
from tightbound.models.source import as_source
from tightbound.objectives import Params
from tightbound.training.components import (
    Blocks,
    Limits,
    Mixture,
    bounded,
    iteration,
    log_evidence,
)
from tightbound.training.fit import Run
from tightbound.training.history import EpochRecord, History
from tightbound.training.mixture import TABLE_FLOOR, as_mixture, as_model, limits_of, seen

RELATIVE_FLOOR = 1e-6
"""Least eigenvalue of a covariance, as a share of the mean variance of the data's columns."""
PROBABILITY_FLOOR = 1e-4
"""Least distance of a pixel's probability from 0 and 1."""
Components = GaussianComponents | TableComponents | BernoulliComponents


class EMRun(NamedTuple):
    """A mixture fitted by expectation maximisation."""

    model: Model
    log_likelihood: Float[np.ndarray, " iterations_and_start"]
    """Mean log p(x) over the data in nats per datum: at the start, then after each iteration."""
    floor: float
    """The bound in use: on eigenvalues of covariances, or on probabilities of pixels."""
    seconds: float

    def as_run(self) -> Run:
        """The same as what `fit` returns, for `tb.save`: an epoch of its history is an iteration.

        The bound of an epoch is the mean log p(x) after it.
        """
        iterations = len(self.log_likelihood) - 1
        history = History(
            EpochRecord(i, i, [float(self.log_likelihood[i])], None, self.seconds / iterations)
            for i in range(1, iterations + 1)
        )
        return Run(
            self.model,
            None,
            history,
            [Params(self.model, None)],
            f"em(iterations={iterations}, floor={self.floor:.6g})",
            Binarisation("none").description,
            iterations,
            0.0,
        )


def em(
    model: Model,
    x: DataLike,
    *,
    iterations: int = 100,
    floor: float | None = None,
    shrinkage: float = 0.0,
    rank: int | None = None,
) -> EMRun:
    """Fits a mixture by expectation maximisation, all iterations in one compiled scan.

    Nothing is drawn. A start outside the bounds of `floor` is moved to their nearest point first.
    A component that has lost all its data keeps its parameters.

    Args:
        model: `Model(Categorical, GaussianComponents)`, `Model(Categorical, TableComponents)` or
            `Model(Categorical, BernoulliComponents)`, as from `tb.models.gaussian_mixture`,
            `tb.models.table_component` or `tb.models.bernoulli_mixture`.
        x: Data of shape (n, d), kept on the device; binary for the mixture of Bernoullis. Values
            may be missing (NaN): what never falls is then log p(x_observed). (A mixture to start
            from is made of data without holes, such as those with a column's mean in their place.)
        iterations: Number of iterations.
        floor: Least eigenvalue of a covariance, in squared units of the data (by default a
            millionth of the mean variance of the columns; of `TableComponents` in units of each
            column's variance, by default 1e-4, and 1/2 of whole numbers); or least distance of a
            probability from 0 and 1 (by default 1e-4).
        shrinkage: Of Gaussians: how many further data each covariance counts, spread as the start's
            components are on average: the mode under an inverse Wishart prior (Fraley & Raftery
            2007, J. Classif. 24(2)). With it small components keep a sensible shape, and what never
            falls is the sum of log p(x) less shrinkage / 2 of (log |S_k| + trace(S_k^-1 S_0)) for
            each component. Infinite: all components have one covariance, and a fit that starts
            there is shrunk towards it. Tables of levels count one datum more, with the start's
            frequencies.
        rank: Of Gaussians: each covariance is noise of one variance but for so many directions, as
            of probabilistic PCA and mixtures of it (Tipping & Bishop 1999).

    Returns:
        The model, the log-likelihood before and after each iteration, the floor and the seconds;
        `tb.save(path, run.as_run())` writes it to a file.

    Raises:
        UsageError: Another kind of model, values outside the likelihood's support, a column without
            any, or numbers outside their range.
        NonFiniteError: The log-likelihood was not finite.
    """
    prior, likelihood = model.prior, model.likelihood
    if not isinstance(prior, Categorical) or not isinstance(likelihood, Components):
        raise UsageError(
            "EM in closed form is for a Categorical prior with GaussianComponents, "
            f"TableComponents or BernoulliComponents, got {type(prior).__name__} with "
            f"{type(likelihood).__name__}; use tb.fit with tb.objectives.exact()"
        )
    dtype = prior.logits.dtype
    source = as_source(model, x, "the data", "none", dtype=dtype)
    x = source.read(dtype=dtype)
    _check_columns(x)
    gaussian = not isinstance(likelihood, BernoulliComponents)
    at_least(1, iterations=iterations)
    if not (shrinkage >= 0 and (gaussian or not shrinkage)):
        raise UsageError(
            f"expected shrinkage as a number of data, 0 or more, for Gaussians, got {shrinkage}"
        )
    if rank is not None and not (gaussian and 0 <= rank < x.shape[1]):
        raise UsageError(
            f"expected rank from 0 to {x.shape[1] - 1}, for Gaussians alone, got {rank}"
        )
    floor = _floor(likelihood, x) if floor is None else floor
    most = math.inf if gaussian else 0.5
    if not 0 < floor < most:
        raise UsageError(f"expected floor between 0 and {most}, got {floor}")
    began = time.perf_counter()
    if gaussian:
        start, (data, log_slope) = as_mixture(model), seen(likelihood, x)
        limits = limits_of(start, likelihood, floor, shrinkage, rank)
        found, history = _gaussian_scan(
            start, data, jnp.ones(len(x), dtype), limits, iterations=iterations
        )
        history = np.asarray(history) + np.mean(log_slope)
        fitted = as_model(found, likelihood)
    else:
        bound = jnp.asarray(floor, dtype)
        data = jnp.asarray(x, dtype)
        if source.missing:
            data = Datum(jnp.nan_to_num(data), ~jnp.isnan(data))
        start = Model(prior, _bernoullis(jax.nn.sigmoid(likelihood.logits), bound))
        fitted, history = _scan(start, data, bound, iterations=iterations)
    history = np.asarray(history)
    if not np.all(np.isfinite(history)):
        bad = int(np.argmin(np.isfinite(history)))
        raise NonFiniteError(
            f"the log-likelihood was not finite after {bad} iterations; try a larger floor than "
            f"{floor:.3g}, or data whose columns have similar scales"
        )
    return EMRun(fitted, history, float(floor), time.perf_counter() - began)


def _check_columns(x: Float[np.ndarray, "n d"]) -> None:
    """Refuses a column of which nothing is known.

    Raises:
        UsageError: The column.
    """
    empty = np.isnan(x).all(axis=0)
    if empty.any():
        raise UsageError(
            f"the data: column {int(np.argmax(empty))} (counted from 0) has no value at all: leave "
            "it out"
        )


def _floor(likelihood: Components, x: Float[np.ndarray, "n d"]) -> float:
    if isinstance(likelihood, BernoulliComponents):
        return PROBABILITY_FLOOR
    if isinstance(likelihood, TableComponents):
        return TABLE_FLOOR
    floor = RELATIVE_FLOOR * float(np.mean(np.nanvar(x, axis=0, dtype=np.float64)))
    if not floor > 0:
        raise UsageError("expected data with some spread, got equal rows; or pass floor=...")
    return floor


@filter_jit
def _gaussian_scan(
    start: Mixture,
    data: Blocks,
    weights: Float[Array, " n"],
    limits: Limits,
    *,
    iterations: int,
) -> tuple[Mixture, Float[Array, " iterations_and_start"]]:
    """EM of a mixture whose components have a normal block."""
    n = weights.shape[0]
    inside = start._replace(covariances=bounded(start.covariances, limits.floor, limits.rank))

    def step(mixture: Mixture, _: None) -> tuple[Mixture, Float[Array, ""]]:
        mixture, log_p = iteration(mixture, data, weights, limits)
        return mixture, jnp.sum(weights * log_p) / jnp.sum(weights)

    fitted, history = jax.lax.scan(step, inside, None, length=iterations)
    return fitted, jnp.append(history, jnp.mean(log_evidence(fitted, data, n)))


@filter_jit
def _scan(
    model: Model, x: Data, floor: Float[Array, ""], *, iterations: int
) -> tuple[Model, Float[Array, " iterations_and_start"]]:
    def step(model: Model, _: None) -> tuple[Model, Float[Array, ""]]:
        weights, log_likelihood = _expect(model, x)
        return _maximise(model, x, weights, floor), log_likelihood

    fitted, history = jax.lax.scan(step, model, None, length=iterations)
    _, last = _expect(fitted, x)
    return fitted, jnp.append(history, last)


def _expect(model: Model, x: Data) -> tuple[Float[Array, "n k"], Float[Array, ""]]:
    """E step of Bernoullis: the exact posterior of each datum, and the mean log p(x) in nats."""

    def one(x: One) -> tuple[Float[Array, " k"], Float[Array, ""]]:
        log_joint = enumerated_log_joint(model, jax.tree.map(lambda leaf: leaf[None], x))[0]
        return jax.nn.softmax(log_joint), jax.nn.logsumexp(log_joint)

    n, d = values(x).shape
    at_once = min(items_at_once(model, d), n)
    weights, log_evidence = jax.lax.map(one, x, batch_size=at_once)
    return weights, jnp.mean(log_evidence)


def _maximise(
    model: Model, x: Data, weights: Float[Array, "n k"], floor: Float[Array, ""]
) -> Model:
    """M step of Bernoullis: how often pixels are one among those that are known."""
    totals = jnp.sum(weights, axis=0)
    tiny = jnp.finfo(weights.dtype).tiny
    lost = totals < jnp.sqrt(tiny)  # less than rounding leaves of any datum
    prior = Categorical(jnp.log(jnp.maximum(totals, tiny)) - jnp.log(jnp.sum(totals)))
    old = model.likelihood
    observed_of = jnp.astype(observed(x), weights.dtype) if isinstance(x, Datum) else None
    known = totals[:, None] if observed_of is None else _matmul(weights.T, observed_of)
    ones = _matmul(weights.T, values(x))
    nothing = known < jnp.sqrt(tiny)
    p = jnp.where(nothing, jax.nn.sigmoid(old.logits), ones / jnp.where(nothing, 1.0, known))
    new = _bernoullis(p, floor).logits
    return Model(prior, BernoulliComponents(jnp.where(lost[:, None], old.logits, new)))


def _matmul(a: Float[Array, "k n"], b: Float[Array, "n d"]) -> Float[Array, "k d"]:
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def _bernoullis(p: Float[Array, "k d"], floor: Float[Array, ""]) -> BernoulliComponents:
    p = jnp.clip(p, floor, 1 - floor)
    return BernoulliComponents(jnp.log(p) - jnp.log1p(-p))
