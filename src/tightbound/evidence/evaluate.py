"""The test log-likelihood of a fitted model, per datum, with error bars and a verdict."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
from jaxtyping import Array, Float, Int

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional
from tightbound.evidence.annealing.ais import annealed
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import TAIL, Estimate, with_verdict
from tightbound.evidence.estimator import Estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.importance.growth import bias_by_growth
from tightbound.evidence.importance.importance import examined, prefixes
from tightbound.evidence.verdict import DRAWS, WORDS, against_annealed
from tightbound.models import Bayesian, Model

AT_ONCE = 5000
"""Draws of all data together that are made at once by default."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation(Estimate):
    """An importance estimate of log p(x): a stochastic lower bound, consistent in k."""

    bound_by_k: dict[int, float]
    """Mean over the data of L_j, from the first j draws of each."""
    annealed: Estimate | None = None
    """The same data by annealed importance sampling, if that was asked."""
    proposal: str = ""
    """What was drawn from in place of a posterior without a density, in words."""

    @property
    def k(self) -> int:
        """Draws per datum."""
        return self.draws

    @property
    def khat(self) -> Float[np.ndarray, " n"]:
        """Shape of the tail of each datum's weights."""
        return self.diagnostics["khat"]

    @property
    def elbo(self) -> Float[np.ndarray, " n"]:
        """The mean log-weight."""
        return self.diagnostics["elbo"]

    @property
    def jackknife(self) -> Float[np.ndarray, " n"]:
        """What the jackknife of order 1 adds to `log_evidence`: about its bias."""
        return self.diagnostics["jackknife"]


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None,
    x: DataLike | None = None,
    *,
    k: int = 5000,
    temperatures: int | None = None,
    chains: int = 16,
    **execution: Unpack[ExecutionSettings],
) -> Evaluation: ...


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None,
    x: DataLike | None = None,
    *,
    by: Estimator,
    **execution: Unpack[ExecutionSettings],
) -> Estimate: ...


def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None,
    x: DataLike | None = None,
    *,
    by: Estimator | None = None,
    k: int = 5000,
    temperatures: int | None = None,
    chains: int = 16,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each datum: by importance sampling from q(z|x), or `by` another way.

    Memory grows with neither k nor n, unless draws are kept.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal. One without a density is stood in for: a semi-implicit one
            by a mixture of 100 of its components, an implicit one by the normal with the moments
            of its draws. Both leave the estimate valid; `temperatures` helps where they fit badly.
        x: Data of shape (n, d), or a source of them (`tb.source`), as for a model with a condition,
            whose evidence is log p(x|c); none for a `Target`. Those in a file are read by batches.
        by: Another estimator with its settings, such as `tb.evidence.AIS(temperatures=1000)`; the
            result is then its `Estimate`. Posterior and execution settings go to it.
        k: Draws per datum.
        temperatures: If given, annealed importance sampling with so many temperatures, from q(z|x)
            to the posterior, estimates the same data too (`tb.evidence.annealed`), and the verdict
            weighs it; it needs a z on all real numbers.
        chains: Chains of it for each datum.
        execution: `key`, `binarize`, `batch_size` (by default 5,000 draws together on each device),
            `chunk`, `progress`, `resume` and `keep`: see `tb.evidence.Execution`.

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
        return _by(by, model, posterior, x, (k, temperatures, chains), execution)
    run = Execution.of(evaluate, execution)
    proposal = with_density(posterior, model, run.key, "importance sampling")
    (k,) = at_least(1, k=k)
    chunk = min(k, 250) if run.chunk is None else run.chunk
    if temperatures is not None:
        temperatures, chains = at_least(1, temperatures=temperatures, chains=chains)
    data, keep = prepared(model, x, run.binarize, run.key), run.keeps(model, k)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(data.noise_key, items)
        size = min(chunk, k)
        ev, undefined, rounded, drawn = examined(
            model, proposal, values, keys, k=k, chunk=size, keep=keep
        )
        more = {name: getattr(ev, name) for name in (*TAIL, "elbo", "jackknife", "bounds")}
        return Batch(Found(ev.log_z, ev.stderr, ev.ess, rounded, more, drawn), undefined)

    stands_in = in_words(proposal)
    found = run.estimate(
        one_batch,
        data,
        model=model,
        direction="lower",
        method=f"importance sampling, k={k}" + (f"; proposal: {stands_in}" if stands_in else ""),
        draws=k,
        terms=DRAWS,
        doing="evaluating",
        at_once=per_device(AT_ONCE, of_each=chunk),
    )
    ais = None
    if temperatures is not None:
        ais = annealed(
            model,
            None if x is None else data.source,
            start=proposal,
            temperatures=temperatures,
            chains=chains,
            key=run.key,
            progress=run.progress,
            keep=run.keep,
            resume=None if run.resume is None else Path(run.resume).with_suffix(".annealed.npz"),
        )
    return _judged(found, ais, stands_in, run)


def _judged(found: Estimate, ais: Estimate | None, proposal: str, run: Execution) -> Evaluation:
    """The estimate with what the growth of its bounds, and annealing, say of it."""
    k, more = found.draws, dict(found.diagnostics)
    bounds = more.pop("bounds")
    means = np.mean(np.asarray(bounds, np.float64), axis=0)
    found = replace(found, diagnostics=more)
    found = with_verdict(found, DRAWS, growth=bias_by_growth(prefixes(k), bounds))
    further: dict[str, Any] = {
        "bound_by_k": {j: float(mean) for j, mean in zip(prefixes(k), means, strict=True)},
        "annealed": ais,
        "proposal": proposal,
        "seconds": run.seconds,
    }
    if ais is not None and found.judgement is not None:
        above = ais.log_evidence - found.log_evidence
        error = np.hypot(found.stderr, ais.stderr)
        judgement = against_annealed(found.judgement, above, error, ais.verdict)
        # Both are lower bounds: where annealing is above, it is the one to believe.
        better = judgement.word == WORDS[-1] and np.mean(above) > 0
        further |= {"judgement": judgement, "recommended": ais if better else None}
    return Evaluation(**(vars(found) | further))


def _by(
    by: Any,
    model: Model,
    posterior: Any,
    x: Any,
    own: tuple[Any, ...],
    execution: ExecutionSettings,
) -> Estimate:
    """What another estimator says; importance sampling's own settings are none of its."""
    if not isinstance(by, Estimator):
        raise UsageError(
            f"expected by= as an estimator, such as tb.evidence.AIS(temperatures=1000), got {by!r}"
        )
    if own != (5000, None, 16):
        raise UsageError(
            f"k, temperatures and chains are for importance sampling: give {by.name} its "
            "settings, as in by=tb.evidence.AIS(temperatures=1000, chains=16)"
        )
    return by.estimate(model, posterior, x, **execution)
