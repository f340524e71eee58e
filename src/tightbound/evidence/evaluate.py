"""The test log-likelihood of a fitted model, per datum, with error bars and a verdict."""

import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional
from tightbound.evidence.annealing.annealed import annealed
from tightbound.evidence.batches import (
    Batch,
    data_at_once,
    errors,
    headline,
    in_batches,
    mean,
    prepared,
    stderr_of_draws,
    stderr_of_mean,
)
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.estimator import EXECUTION, Estimator
from tightbound.evidence.importance.growth import bias_by_growth
from tightbound.evidence.importance.importance import examined, prefixes
from tightbound.evidence.resume import Finished
from tightbound.evidence.verdict import (
    WORDS,
    Verdict,
    against_annealed,
    judge,
    judge_each,
    rounded_each,
    rounded_off,
)
from tightbound.models import Bayesian, Model

AT_ONCE = 5000
"""Draws of all data together that are made at once by default."""


class Evaluation(NamedTuple):
    """Log-evidence per datum in nats, larger is better; arrays of shape (n,) on the host."""

    log_evidence: Float[np.ndarray, " n"]
    """Importance estimate of log p(x): a stochastic lower bound, consistent in k."""
    stderr: Float[np.ndarray, " n"]
    """Standard error of each estimate, from the weights of its own draws."""
    ess: Float[np.ndarray, " n"]
    khat: Float[np.ndarray, " n"]
    elbo: Float[np.ndarray, " n"]
    jackknife: Float[np.ndarray, " n"]
    """What the jackknife of order 1 adds to `log_evidence`: about its bias."""
    verdicts: tuple[str, ...]
    """The verdict on each datum by itself."""
    bound_by_k: dict[int, float]
    """Mean over the data of L_j, from the first j draws of each."""
    k: int
    binarisation: str
    judgement: Verdict
    seconds: float
    annealed: Estimate | None
    """The same data by annealed importance sampling, if that was asked."""
    proposal: str = ""
    """What was drawn from in place of a posterior without a density, in words."""
    rounding: Float[np.ndarray, " n"] | float = 0.0
    """How far single precision may have taken each estimate, in nats, beside `stderr`."""

    @property
    def verdict(self) -> str:
        """One of "trust", "raise k" and "use AIS" (see `evidence.verdict` for the rule)."""
        return self.judgement.word

    @property
    def mean(self) -> float:
        """Mean log-evidence over the data, in nats."""
        return mean(self.log_evidence)

    @property
    def stderr_draws(self) -> float:
        """Standard error of the mean from the finite number of draws."""
        return stderr_of_draws(self.stderr)

    @property
    def stderr_data(self) -> float:
        """Standard error of the mean from the finite number of data."""
        return stderr_of_mean(self.log_evidence)

    def summary(self) -> str:
        """The result in a few lines, with unit, direction, k, binarisation and verdict."""
        binarisation = self.binarisation
        known = self.khat[~np.isnan(self.khat)]
        shape = f"median k-hat {np.median(known):.2f}" if len(known) else "no k-hat"
        return "\n".join(
            [
                headline(self.log_evidence, f"stochastic lower bound, k={self.k}", binarisation),
                f"  {errors(self.log_evidence, self.stderr, self.rounding)}; "
                f"ELBO {float(np.mean(self.elbo)):.2f}",
                f"  median ESS {np.median(self.ess):.0f} of {self.k}, {shape}",
                *([f"  proposal: {self.proposal}"] if self.proposal else []),
                f"  verdict: {self.verdict} ({self.judgement.reason})",
                f"  of the data by themselves: {_counted(self.verdicts)}",
            ]
        )


def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None,
    x: DataLike | None = None,
    *,
    by: Estimator | None = None,
    k: int = 5000,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
    batch_size: int | None = None,
    chunk: int | None = None,
    temperatures: int | None = None,
    chains: int = 16,
    progress: bool | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> Evaluation | Any:
    """Estimates log p(x) of each datum: by importance sampling from q(z|x), or `by` another way.

    Memory grows with neither k nor n. Apart from rounding, `batch_size` and `chunk` do not change
    the result: a datum's draws depend on the key and on its row alone.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal. One without a density is stood in for: a semi-implicit one
            by a mixture of 100 of its components, an implicit one by the normal with the moments
            of its draws. Both leave the estimate valid; `temperatures` helps where they fit badly.
        x: Data of shape (n, d), or a source of them (`tb.source`), as for a model with a condition,
            whose evidence is log p(x|c); none for a `Target`. Those in a file are read by batches.
        by: Another estimator with its settings, such as `tb.evidence.AIS(temperatures=1000)`; the
            result is then an `Estimate` (`ExactEvidence` by `Exact`). Posterior, key, binarize,
            batch_size, progress and resume go to it.
        k: Draws per datum.
        key: Seed or key of draws and binarisation.
        binarize: As for `fit`; "dynamic" draws each item once, by its row. A source has its own.
        batch_size: Data at once; by default 5000 draws of them together on each device.
        chunk: Draws per datum at once; by default 250.
        temperatures: If given, annealed importance sampling with so many temperatures, from q(z|x)
            to the posterior, estimates the same data too (`tb.evidence.annealed`), and the verdict
            weighs it; it needs a z on all real numbers.
        chains: Chains of it for each datum.
        progress: Show a progress bar on standard error; by default if that is a terminal.
        resume: A file .npz in which finished batches are kept, every 10 seconds or so, and which
            is removed at the end (for annealing, one beside it). A call with the same arguments
            goes on from it.

    Returns:
        An `Evaluation`, or what `by` gives.

    Raises:
        UsageError: Data outside the likelihood's support (row and column are named), wrong
            sizes, a posterior without a density, or a distribution over models.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    if isinstance(model, Bayesian):
        raise UsageError(
            "a Bayesian model is no single p(x, z): evaluate its plug-in `model.mean`, or models "
            "from q(theta), `model.draw(key)`"
        )
    if by is not None:
        own, execution = (k, chunk, temperatures, chains), (key, binarize, batch_size)
        names = dict(zip(EXECUTION, (*execution, progress, resume), strict=True))
        return _by(by, model, posterior, x, own, **names)
    proposal = with_density(posterior, model, key, "importance sampling")
    (k,) = at_least(1, k=k)
    (chunk,) = at_least(1, chunk=min(k, 250) if chunk is None else chunk)
    if temperatures is not None:
        temperatures, chains = at_least(1, temperatures=temperatures, chains=chains)
    data = prepared(model, x, binarize, key)
    batch_size = data_at_once(batch_size, draws=chunk, at_once=AT_ONCE)
    asked = (model, proposal, data, k, chunk, batch_size)
    finished = None if resume is None else Finished(resume, asked)
    began = time.perf_counter()

    def estimate(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(data.noise_key, items)
        size = min(chunk, k)
        ev, undefined, rounded = examined(model, proposal, values, keys, k=k, chunk=size)
        return Batch((*ev, rounded), undefined)

    log_z, stderr, ess, shape, elbo, correction, bounds, rounded = in_batches(
        estimate,
        data,
        batch_size=batch_size,
        doing="evaluating",
        progress=progress,
        finished=finished,
    )
    means = np.mean(np.asarray(bounds, np.float64), axis=0)
    judgement = judge(
        stderr, shape, k, jackknife=correction, growth=bias_by_growth(prefixes(k), bounds)
    )
    ais = None
    if temperatures is not None:
        ais = annealed(
            model,
            None if x is None else data.source,
            start=proposal,
            temperatures=temperatures,
            chains=chains,
            key=key,
            progress=progress,
            resume=None if resume is None else Path(resume).with_suffix(".annealed.npz"),
        )
        judgement = against_annealed(
            judgement,
            ais.log_evidence - log_z,
            np.hypot(stderr, ais.stderr),
            float(np.mean(ais.stderr**2) / 2),
        )
    return Evaluation(
        log_evidence=log_z,
        stderr=stderr,
        ess=ess,
        khat=shape,
        elbo=elbo,
        jackknife=correction,
        verdicts=rounded_each(judge_each(stderr, shape, k, jackknife=correction), rounded),
        bound_by_k={j: float(mean) for j, mean in zip(prefixes(k), means, strict=True)},
        k=k,
        binarisation=data.once,
        judgement=rounded_off(judgement, rounded),
        seconds=time.perf_counter() - began,
        annealed=ais,
        proposal=in_words(proposal),
        rounding=rounded,
    )


def _by(
    by: Any, model: Model, posterior: Any, x: Any, own: tuple[Any, ...], **execution: Any
) -> Any:
    """What another estimator says; importance sampling's own settings are none of its."""
    if not isinstance(by, Estimator):
        raise UsageError(
            f"expected by= as an estimator, such as tb.evidence.AIS(temperatures=1000), got {by!r}"
        )
    if own != (5000, None, None, 16):
        raise UsageError(
            f"k, chunk, temperatures and chains are for importance sampling: give {by.name} its "
            "settings, as in by=tb.evidence.AIS(temperatures=1000, chains=16)"
        )
    return by.estimate(model, posterior, x, **execution)


def _counted(verdicts: tuple[str, ...]) -> str:
    """How many data have each verdict."""
    return ", ".join(f"{verdicts.count(word)} {word}" for word in WORDS if word in verdicts)
