"""Expectation maximisation where both steps are closed: mixtures of Gaussians and of Bernoullis.

The E step is the exact posterior p(z|x), and of normal data what is expected of missing values. The
M step maximises the expected complete-data log-likelihood within bounds that keep the likelihood
finite: eigenvalues of a covariance are at least `floor`, or probabilities of a pixel at least
`floor` away from 0 and 1. The best covariance
within the bound has the eigenvectors of the weighted scatter and its eigenvalues raised to the
floor; the best probability is the weighted mean, moved to the nearer bound. Both steps are exact
maximisers over the same set, so that log p(x) itself never falls: nothing is added to it, and
nothing to a covariance whose eigenvalues are large enough.

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
from tightbound.core.items import Data, Datum, One, values
from tightbound.data import DataLike
from tightbound.data.binarise import Binarisation
from tightbound.distributions import BernoulliComponents, Categorical, GaussianComponents
from tightbound.models.finite import enumerated_log_joint, items_at_once
from tightbound.models.model import Model
from tightbound.models.source import as_source
from tightbound.objectives import Params
from tightbound.training.fit import Run
from tightbound.training.history import EpochRecord, History
from tightbound.training.shares import frequencies, moments

RELATIVE_FLOOR = 1e-6
"""Least eigenvalue of a covariance, as a share of the mean variance of the data's columns."""
PROBABILITY_FLOOR = 1e-4
"""Least distance of a pixel's probability from 0 and 1."""
Components = GaussianComponents | BernoulliComponents


class _Limits(NamedTuple):
    """What keeps the parameters from the edge."""

    floor: Float[Array, ""]
    shrinkage: Float[Array, ""]
    scatter: Float[Array, "d d"] | None = None
    """What a covariance is drawn to; None without shrinkage."""


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
) -> EMRun:
    """Fits a mixture by expectation maximisation, all iterations in one compiled scan.

    Nothing is drawn. A start outside the bounds of `floor` is moved to their nearest point first.
    A component that has lost all its data keeps its parameters.

    Args:
        model: `Model(Categorical, GaussianComponents)` or `Model(Categorical,
            BernoulliComponents)`, as from `tb.models.gaussian_mixture` or
            `tb.models.bernoulli_mixture`.
        x: Data of shape (n, d), kept on the device; binary for the mixture of Bernoullis. Values
            may be missing (NaN): what never falls is then log p(x_observed). (A mixture to start
            from is made of data without holes, such as those with a column's mean in their place.)
        iterations: Number of iterations.
        floor: Least eigenvalue of a covariance, in squared units of the data (by default a
            millionth of the mean variance of the columns); or least distance of a probability
            from 0 and 1 (by default 1e-4).
        shrinkage: Of Gaussians: how many further data each covariance counts, spread as the start's
            K components are on average and K^(2/d) times as narrow: the mode under an inverse
            Wishart prior (Fraley & Raftery 2007, J. Classif. 24(2), whose scale this is). With it
            small components keep a sensible shape, and what never falls is the sum of log p(x)
            less shrinkage / 2 of (log |S_k| + trace(S_k^-1 S_0)) for each component.

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
            "EM in closed form is for a Categorical prior with GaussianComponents or "
            f"BernoulliComponents, got {type(prior).__name__} with {type(likelihood).__name__}; "
            "use tb.fit with tb.objectives.exact()"
        )
    dtype = prior.logits.dtype
    source = as_source(model, x, "the data", "none", dtype=dtype)
    x = source.read(dtype=dtype)
    _check_columns(x)
    gaussian = isinstance(likelihood, GaussianComponents)
    at_least(1, iterations=iterations)
    if not (0 <= shrinkage < math.inf and (gaussian or not shrinkage)):
        raise UsageError(
            f"expected shrinkage as a number of data, 0 or more, for Gaussians, got {shrinkage}"
        )
    floor = _floor(likelihood, x) if floor is None else floor
    most = math.inf if gaussian else 0.5
    if not 0 < floor < most:
        raise UsageError(f"expected floor between 0 and {most}, got {floor}")
    began, bound = time.perf_counter(), jnp.asarray(floor, dtype)
    start = Model(prior, _inside(likelihood, bound))
    data = jnp.asarray(x, dtype)
    if source.missing:
        data = Datum(jnp.nan_to_num(data), ~jnp.isnan(data))
    fitted, history = _scan(
        start, data, _Limits(bound, jnp.asarray(shrinkage, dtype)), iterations=iterations
    )
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
    if not isinstance(likelihood, GaussianComponents):
        return PROBABILITY_FLOOR
    floor = RELATIVE_FLOOR * float(np.mean(np.nanvar(x, axis=0, dtype=np.float64)))
    if not floor > 0:
        raise UsageError("expected data with some spread, got equal rows; or pass floor=...")
    return floor


@filter_jit
def _scan(
    model: Model, x: Data, limits: _Limits, *, iterations: int
) -> tuple[Model, Float[Array, " iterations_and_start"]]:
    if isinstance(model.likelihood, GaussianComponents):
        k, d = model.likelihood.means.shape
        scatter = jnp.mean(model.likelihood.covariances(), axis=0) / k ** (2 / d)
        limits = limits._replace(scatter=scatter)

    def iteration(model: Model, _: None) -> tuple[Model, Float[Array, ""]]:
        weights, log_likelihood = _expect(model, x)
        return _maximise(model, x, weights, limits), log_likelihood

    fitted, history = jax.lax.scan(iteration, model, None, length=iterations)
    _, last = _expect(fitted, x)
    return fitted, jnp.append(history, last)


def _expect(model: Model, x: Data) -> tuple[Float[Array, "n k"], Float[Array, ""]]:
    """E step: the exact posterior of each datum, and the mean log p(x) in nats."""

    def one(x: One) -> tuple[Float[Array, " k"], Float[Array, ""]]:
        log_joint = enumerated_log_joint(model, jax.tree.map(lambda leaf: leaf[None], x))[0]
        return jax.nn.softmax(log_joint), jax.nn.logsumexp(log_joint)

    n, d = values(x).shape
    at_once = min(items_at_once(model, d), n)
    weights, log_evidence = jax.lax.map(one, x, batch_size=at_once)
    return weights, jnp.mean(log_evidence)


def _maximise(model: Model, x: Data, weights: Float[Array, "n k"], limits: _Limits) -> Model:
    """M step: the best parameters for the expected complete-data log-likelihood."""
    totals = jnp.sum(weights, axis=0)
    tiny = jnp.finfo(weights.dtype).tiny
    lost = totals < jnp.sqrt(tiny)  # less than rounding leaves of any datum
    prior = Categorical(jnp.log(jnp.maximum(totals, tiny)) - jnp.log(jnp.sum(totals)))
    shares = weights / jnp.where(lost, 1.0, totals)[None, :]
    old = model.likelihood
    if isinstance(old, GaussianComponents):
        assert limits.scatter is not None
        means, covariances = moments(old, x, shares)
        own = (totals / (totals + limits.shrinkage))[:, None, None]
        covariances = own * covariances + (1 - own) * limits.scatter[None]
        new = _gaussians(means, covariances, limits.floor)
    else:
        new = _bernoullis(frequencies(old, x, weights, shares), limits.floor)
    kept = jax.tree.map(
        lambda new, old: jnp.where(lost.reshape((-1,) + (1,) * (new.ndim - 1)), old, new), new, old
    )
    return Model(prior, kept)


def _inside(likelihood: Components, floor: Float[Array, ""]) -> Components:
    """The nearest parameters within the bounds."""
    if isinstance(likelihood, GaussianComponents):
        return _gaussians(likelihood.means, likelihood.covariances(), floor)
    return _bernoullis(jax.nn.sigmoid(likelihood.logits), floor)


def _gaussians(
    means: Float[Array, "k d"], covariances: Float[Array, "k d d"], floor: Float[Array, ""]
) -> GaussianComponents:
    """Components with the eigenvalues of their covariances raised to the floor."""
    values, vectors = jnp.linalg.eigh(covariances)
    raised = jnp.einsum(
        "kij,kj,klj->kil",
        vectors,
        jnp.maximum(values, floor),
        vectors,
        precision=jax.lax.Precision.HIGHEST,
    )
    # Untouched where all is well: the decomposition costs digits.
    low = jnp.any(values < floor, axis=1)[:, None, None]
    return GaussianComponents.from_covariances(means, jnp.where(low, raised, covariances))


def _bernoullis(p: Float[Array, "k d"], floor: Float[Array, ""]) -> BernoulliComponents:
    p = jnp.clip(p, floor, 1 - floor)
    return BernoulliComponents(jnp.log(p) - jnp.log1p(-p))
