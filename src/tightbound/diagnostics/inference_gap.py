"""How much of log p(x) a posterior misses, and why: its family, or its network.

For each datum, q* is the member of the posterior's family (fully factorised normals) that gradient
ascent on the ELBO reaches from q_phi(z|x) itself. Then

    log p(x) - L[q_phi]  =  log p(x) - L[q*]  +  L[q*] - L[q_phi]
       inference gap          approximation        amortisation

Reference: Cremer, Li & Duvenaud 2018, arXiv 1801.03558, section 3.
Bias: L[q_phi] and L[q*] have none. The inference gap errs as log p(x) does: with a stochastic lower
bound it is low on average. Where the ascent has not arrived, amortisation is low, and approximation
high by as much.
"""

import math
from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys, streams
from tightbound.data import DataLike
from tightbound.diagnostics.best_normal import Bounds, measured
from tightbound.distributions import AbstractExplicit, DiagonalNormal
from tightbound.evidence.batches import (
    Batch,
    mean,
    prepared,
    stderr_of_draws,
    stderr_of_mean,
)
from tightbound.evidence.compare import check_result, in_words
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.evaluate import evaluate
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.models.model import Model

AT_ONCE = 1000
"""Draws of all data together that a step holds by default."""
TOLERANCE = 0.01
"""Nats that the second half of the steps may still gain where q* counts as reached."""


class InferenceGap(NamedTuple):
    """Bounds and gaps per datum in nats; arrays of shape (n,) on the host, in float64."""

    log_evidence: Float[np.ndarray, " n"]
    elbo: Float[np.ndarray, " n"]
    """L[q_phi]."""
    elbo_best: Float[np.ndarray, " n"]
    """L[q*], q* being the best normal with independent units for each datum."""
    approximation: Float[np.ndarray, " n"]
    """Log p(x) - L[q*]: what no network could mend."""
    amortisation: Float[np.ndarray, " n"]
    """L[q*] - L[q_phi]: what the network misses of its own family."""
    inference: Float[np.ndarray, " n"]
    """The sum of both, KL(q_phi(z|x) || p(z|x))."""
    stderr: dict[str, Float[np.ndarray, " n"]]
    """Standard errors from the draws, by the names of the six fields above."""
    improvement: Float[np.ndarray, " n"]
    """What the second half of the steps gained; by fresh draws, so that it may be negative."""
    converged: Bool[np.ndarray, " n"]
    """Neither gains much with more steps, nor ended worse than it began (see `TOLERANCE`)."""
    direction: str
    """That of log p(x), and so of the inference gap: "exact", "lower", "upper", "consistent"."""
    method: str
    binarisation: str
    seconds: float

    def mean(self, name: str) -> float:
        """The mean over the data of one of the first six fields, in nats."""
        return mean(getattr(self, name))

    def stderr_draws(self, name: str) -> float:
        """Standard error of that mean from the finite number of draws."""
        return stderr_of_draws(self.stderr[name])

    def stderr_data(self, name: str) -> float:
        """Standard error of that mean from the finite number of data, the draws' included."""
        return stderr_of_mean(getattr(self, name))

    def summary(self) -> str:
        """The gaps in a few lines, with unit, errors, direction and what q* came from."""
        parts = ("inference", "approximation", "amortisation")
        errors = "; ".join(
            f"{name} {self.stderr_data(name):.3f} ({self.stderr_draws(name):.3f})" for name in parts
        )
        moving = int(np.sum(~self.converged))
        arrived = (
            f"q* not reached on {moving} of {len(self.converged)} data: amortisation is low and "
            "approximation high there; raise steps"
            if moving
            else f"q* reached on all {len(self.converged)} data"
        )
        return "\n".join(
            [
                f"inference gap {self.mean('inference'):.3f} = "
                f"approximation {self.mean('approximation'):.3f} + "
                f"amortisation {self.mean('amortisation'):.3f} nats per datum "
                f"(n={len(self.inference)}; binarisation: {self.binarisation})",
                f"  log p(x) = {self.mean('log_evidence'):.2f}, "
                f"L[q*] = {self.mean('elbo_best'):.2f}, L[q] = {self.mean('elbo'):.2f}",
                f"  standard errors from the data (from the draws alone): {errors}",
                f"  log p(x) is {in_words(self.direction)}{_consequence(self.direction)}",
                f"  {self.method}; {arrived}",
            ]
        )


def _consequence(direction: str) -> str:
    """What the direction of log p(x) means for the gaps, in words."""
    if direction in ("lower", "upper"):
        return f", so that the inference gap is {in_words(direction)} as well"
    return ""


def inference_gap(
    model: Model,
    posterior: AbstractExplicit,
    x: DataLike,
    *,
    evidence: Estimate | None = None,
    k: int = 5000,
    steps: int = 1000,
    samples: int = 10,
    learning_rate: float = 0.02,
    draws: int = 1000,
    **execution: Unpack[ExecutionSettings],
) -> InferenceGap:
    """Splits log p(x) - L[q] of each datum into approximation and amortisation; nats.

    Each datum costs `steps` times `samples` gradients.

    Args:
        model: p(x, z) with one layer of real z.
        posterior: q(z|x), a `DiagonalNormal`.
        x: Data of shape (n, d).
        evidence: Log p(x) of the same data, such as `tb.evidence.annealed` gives with the same
            `key` and `binarize`; left out, importance sampling with k draws.
        k: Draws per datum of that importance sampling.
        steps: Steps of Adam per datum, the rate falling to zero over the last quarter.
        samples: Draws of each step.
        learning_rate: In standard deviations of q(z|x).
        draws: Fresh draws per datum for the bounds that are reported.
        execution: `key`, `binarize`, `batch_size` (by default 1,000 draws of a step together) and
            `progress`: see `tb.evidence.Execution`.

    Raises:
        UsageError: Several layers, another posterior or prior, evidence of other data, data
            outside the likelihood's support (row and column are named), or numbers outside their
            range.
    """
    run = Execution.of(inference_gap, execution, without=("chunk", "resume", "keep"))
    proposal = _check_family(model, posterior)
    (steps,) = at_least(4, steps=steps)
    (draws,) = at_least(2, draws=draws)
    k, samples = at_least(1, k=k, samples=samples)
    if not 0 < learning_rate < math.inf:
        raise UsageError(f"expected learning_rate > 0, got {learning_rate}")
    data = prepared(model, x, run.binarize, run.key)
    if evidence is None:
        shared = {"key": run.key, "progress": run.progress}
        evidence = evaluate(model, posterior, x if x is None else data.source, k=k, **shared)
    _check_evidence(evidence, data.n, data.once)
    keys = streams(data.noise_key, "inference_gap.ascent", "inference_gap.report")

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        found = measured(
            model,
            proposal,
            values,
            *(item_keys(key, items) for key in keys),
            steps=steps,
            samples=samples,
            learning_rate=learning_rate,
            draws=draws,
        )
        undefined = jnp.isnan(found.elbo) | jnp.isnan(found.amortisation)
        return Batch(found, undefined)

    at_once = per_device(AT_ONCE, of_each=samples)
    bounds = run.over(one_batch, data, doing="ascending", at_once=at_once)
    return _gaps(
        evidence,
        bounds,
        method=f"log p(x): {_words(evidence)}; q*: {steps} steps of Adam with {samples} draws each",
        seconds=run.seconds,
    )


def _check_family(model: Model, posterior: AbstractExplicit) -> DiagonalNormal:
    """The posterior, if its family is that of q*.

    Raises:
        UsageError: What the posterior or the prior is.
    """
    if not isinstance(posterior, DiagonalNormal) or posterior.unit_mean:
        got = "one with means in (0, 1)" if isinstance(posterior, DiagonalNormal) else ""
        raise UsageError(
            "inference_gap finds the best normal with independent units of one layer: expected a "
            f"DiagonalNormal on all real numbers, got {got or type(posterior).__name__}"
        )
    if model.prior.support != "real":
        raise UsageError(
            "inference_gap moves z: expected a prior on all real numbers, got "
            f"{type(model.prior).__name__} with {model.prior.support} values"
        )
    return posterior


def _check_evidence(evidence: Any, n: int, binarisation: str) -> None:
    """Refuses evidence that is not that of the data.

    Raises:
        UsageError: Both numbers of data, or both binarisations.
    """
    check_result("evidence", evidence)
    if len(evidence.log_evidence) != n:
        raise UsageError(f"expected evidence of {n} data, got {len(evidence.log_evidence)}")
    if evidence.binarisation != binarisation:
        raise UsageError(
            f"expected evidence with the binarisation {binarisation!r}, "
            f"got {evidence.binarisation!r}"
        )


def _words(evidence: Estimate) -> str:
    """Where log p(x) comes from."""
    return evidence.method + (f", verdict {evidence.verdict}" if evidence.verdict else "")


def _gaps(evidence: Estimate, bounds: Bounds, *, method: str, seconds: float) -> InferenceGap:
    """The gaps, in float64, so that they add up."""
    of = jax.tree.map(lambda column: np.asarray(column, np.float64), bounds)
    log_evidence = np.asarray(evidence.log_evidence, np.float64)
    elbo_best = of.elbo + of.amortisation
    approximation = log_evidence - elbo_best
    of_evidence = evidence.stderr.astype(np.float64)
    still = of.improvement - 2 * of.improvement_stderr <= TOLERANCE
    worse = of.amortisation + 3 * of.amortisation_stderr < -TOLERANCE
    return InferenceGap(
        log_evidence=log_evidence,
        elbo=of.elbo,
        elbo_best=elbo_best,
        approximation=approximation,
        amortisation=of.amortisation,
        inference=approximation + of.amortisation,
        stderr={
            "log_evidence": of_evidence,
            "elbo": of.elbo_stderr,
            "elbo_best": of.elbo_best_stderr,
            "approximation": np.hypot(of_evidence, of.elbo_best_stderr),
            "amortisation": of.amortisation_stderr,
            "inference": np.hypot(of_evidence, of.elbo_stderr),
        },
        improvement=of.improvement,
        converged=still & ~worse,
        direction=evidence.direction,
        method=method,
        binarisation=evidence.binarisation,
        seconds=seconds,
    )
