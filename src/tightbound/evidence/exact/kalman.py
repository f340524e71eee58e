"""The Kalman filter and smoother: all there is to know of a linear-Gaussian state-space model.

Missing entries leave the innovation's covariance as rows and columns of the identity, with an
innovation of zero: they add nothing, and what is left is the marginal of the known ones.

Reference: Kalman 1960, J. Basic Engineering 82(1); Rauch, Tung & Striebel 1965, AIAA Journal 3(8)
(smoother); Fruhwirth-Schnatter 1994, J. Time Series Analysis 15(2) (smoothing draws).
Bias: none. All is computed in double precision on the host.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Unpack

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.exact.double import double
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.models.linear_state_space import is_linear_state_space
from tightbound.models.model import Model

AT_ONCE = 2**22
"""Numbers of covariances in a batch."""
Vectors = Float[np.ndarray, "n steps m"]
Matrices = Float[np.ndarray, "n steps m m"]


class Numbers(NamedTuple):
    """The matrices of a linear-Gaussian state-space model, in double precision."""

    a: Float[np.ndarray, "m m"]
    move: Float[np.ndarray, " m"]
    q: Float[np.ndarray, "m m"]
    c: Float[np.ndarray, "d m"]
    shift: Float[np.ndarray, " d"]
    r: Float[np.ndarray, "d d"]
    mean: Float[np.ndarray, " m"]
    covariance: Float[np.ndarray, "m m"]
    steps: int

    @staticmethod
    def of(model: Model) -> "Numbers":
        """Those of `tb.models.linear_state_space`."""
        first, transition, emission = (
            model.prior.initial, model.prior.transition, model.likelihood.step
        )  # fmt: skip

        def covariance(law: object) -> Float[np.ndarray, "k k"]:
            noise = law.noise  # pyright: ignore[reportAttributeAccessIssue]
            factor = np.diag(np.exp(np.asarray(noise.log_diagonal[0], np.float64)))
            factor[np.tril_indices(len(factor), -1)] = np.asarray(noise.below[0], np.float64)
            return factor @ factor.T

        a, move, c, shift, mean = (
            np.asarray(of, np.float64)
            for of in (
                transition.weight, transition.offset, emission.weight, emission.offset, first.offset
            )
        )  # fmt: skip
        laws = covariance(transition), covariance(emission), covariance(first)
        return Numbers(a, move, laws[0], c, shift, laws[1], mean, laws[2], model.prior.steps)


class Filtered(NamedTuple):
    """What the steps so far say of each."""

    log_steps: Float[np.ndarray, "n steps"]
    """Log p(x_t|x_1..x_{t-1}) of the known entries, in nats; 0 of a step without any."""
    mean: Vectors
    covariance: Matrices


@dataclass(frozen=True, kw_only=True, eq=False)
class Kalman:
    """Of n sequences, exactly: log p(x) in nats, and states given the steps so far and given all.

    Behind the end of a sequence states are those that the model goes on with: forecasts.
    """

    log_evidence: Float[np.ndarray, " n"]
    """Log p(x) of each sequence's known values."""
    log_steps: Float[np.ndarray, "n steps"]
    """Log p(x_t|x_1..x_{t-1}) of each step's known values; 0 of a step without any."""
    filtered_mean: Vectors
    """E[z_t|x_1..x_t]."""
    filtered_covariance: Matrices
    mean: Vectors
    """E[z_t|x]."""
    covariance: Matrices
    numbers: Numbers
    """The model's matrices."""

    def draw(self, draws: int, *, key: int | PRNGKeyArray = 0) -> Float[np.ndarray, "draws n s m"]:
        """Independent draws of whole paths z given x: backwards from the last step.

        Raises:
            UsageError: Less than one draw.
        """
        (draws,) = at_least(1, draws=draws)
        n, steps, m = self.mean.shape
        with double():
            root = stream(as_key(key), "kalman.draws")
            noise = np.array(jax.random.normal(root, (draws, n, steps, m), np.float64))
        a, move = self.numbers.a, self.numbers.move
        z = np.empty_like(noise)
        for t in reversed(range(steps)):
            mean, covariance = self.filtered_mean[:, t], self.filtered_covariance[:, t]
            if t < steps - 1:
                gain = _gain(self.numbers, covariance)
                away = z[:, :, t + 1] - mean @ a.T - move
                mean = mean + np.einsum("nij,knj->kni", gain, away)
                covariance = _symmetric(covariance - gain @ a @ covariance)
            factor = np.linalg.cholesky(covariance)
            z[:, :, t] = mean + np.einsum("nij,knj->kni", factor, noise[:, :, t])
        return z


def kalman(model: Model, x: DataLike, **execution: Unpack[ExecutionSettings]) -> Kalman:
    """The exact evidence, filter and smoother of a linear-Gaussian state-space model.

    Args:
        model: Of `tb.models.linear_state_space`.
        x: Sequences of shape (n, steps, d), NaN where values are missing.
        execution: `key`, `batch_size` and `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Another model, or data that are not for it.
    """
    run = Execution.of(kalman, execution, without=("binarize", "chunk", "resume", "keep"))
    if not is_linear_state_space(model):
        raise UsageError(
            "expected a model of tb.models.linear_state_space, whose laws are all linear and "
            f"normal, got a {type(model).__name__} of {type(model.prior).__name__}"
        )
    numbers = Numbers.of(model)
    data = prepared(model, x, "none", run.key, np.float64)

    def one_batch(_: object, rows: Int[Array, " b"]) -> Batch:
        values = data.source.read(np.asarray(rows), np.float64)
        observed = ~np.isnan(values)
        found = filtered(numbers, np.nan_to_num(values), observed)
        return Batch((*found, *smoothed(numbers, found)), np.zeros(len(values), int))

    size = numbers.steps * len(numbers.mean) ** 2
    log_steps, *of_states = run.over(
        one_batch, data, doing="filtering", at_once=max(1, AT_ONCE // size)
    )
    return Kalman(
        log_evidence=log_steps.sum(axis=1),
        log_steps=log_steps,
        filtered_mean=of_states[0],
        filtered_covariance=of_states[1],
        mean=of_states[2],
        covariance=of_states[3],
        numbers=numbers,
    )


def filtered(
    numbers: Numbers,
    x: Float[np.ndarray, "n steps d"],
    observed: Bool[np.ndarray, "n steps d"] | None = None,
) -> Filtered:
    """The filter, for all sequences together."""
    of = numbers
    n, steps, d = x.shape
    known = np.ones(x.shape) if observed is None else observed.astype(np.float64)
    mean = np.broadcast_to(of.mean, (n, len(of.mean)))
    covariance = np.broadcast_to(of.covariance, (n, *of.covariance.shape))
    log_steps, means, covariances = [], [], []
    for t in range(steps):
        if t:
            mean = mean @ of.a.T + of.move
            covariance = of.a @ covariance @ of.a.T + of.q
        here = known[:, t]
        c = here[:, :, None] * of.c
        r = here[:, :, None] * of.r * here[:, None, :] + _diagonal(1 - here)
        away = here * (x[:, t] - mean @ of.c.T - of.shift)
        spread = c @ covariance @ c.transpose(0, 2, 1) + r
        factor = np.linalg.cholesky(spread)
        white = np.linalg.solve(factor, away[:, :, None])[:, :, 0]
        log_volume = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
        constant = 0.5 * math.log(2 * math.pi) * here.sum(axis=1)
        log_steps.append(-0.5 * (white**2).sum(axis=1) - log_volume - constant)
        gain = np.linalg.solve(spread, c @ covariance).transpose(0, 2, 1)
        mean = mean + (gain @ away[:, :, None])[:, :, 0]
        # Joseph's form: a sum of squares stays a covariance.
        left = np.eye(len(of.mean)) - gain @ c
        covariance = _symmetric(
            left @ covariance @ left.transpose(0, 2, 1) + gain @ r @ gain.transpose(0, 2, 1)
        )
        means.append(mean)
        covariances.append(covariance)
    return Filtered(*(np.stack(each, axis=1) for each in (log_steps, means, covariances)))


def smoothed(numbers: Numbers, found: Filtered) -> tuple[Vectors, Matrices]:
    """Means and covariances of states given all steps."""
    a, move, q = numbers.a, numbers.move, numbers.q
    mean, covariance = found.mean.copy(), found.covariance.copy()
    for t in reversed(range(numbers.steps - 1)):
        gain = _gain(numbers, found.covariance[:, t])
        away = mean[:, t + 1] - found.mean[:, t] @ a.T - move
        mean[:, t] += np.einsum("nij,nj->ni", gain, away)
        narrower = covariance[:, t + 1] - (a @ found.covariance[:, t] @ a.T + q)
        covariance[:, t] = _symmetric(covariance[:, t] + gain @ narrower @ gain.transpose(0, 2, 1))
    return mean, covariance


def kalman_log_evidence(
    model: Model,
    x: Float[np.ndarray, "n steps d"],
    observed: Bool[np.ndarray, "n steps d"] | None = None,
) -> Float[np.ndarray, " n"]:
    """Log p(x) of the known values of each sequence, in nats."""
    numbers = Numbers.of(model)
    return filtered(numbers, np.asarray(x, np.float64), observed).log_steps.sum(axis=1)


def _gain(numbers: Numbers, covariance: Float[np.ndarray, "n m m"]) -> Float[np.ndarray, "n m m"]:
    """What the step behind says of a step: cov(z_t, z_{t+1}) cov(z_{t+1})^-1, given x_1..x_t."""
    ahead = numbers.a @ covariance @ numbers.a.T + numbers.q
    return np.linalg.solve(ahead, numbers.a @ covariance).transpose(0, 2, 1)


def _diagonal(of: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d d"]:
    return of[:, :, None] * np.eye(of.shape[1])


def _symmetric(of: Float[np.ndarray, "n m m"]) -> Float[np.ndarray, "n m m"]:
    return (of + of.transpose(0, 2, 1)) / 2
