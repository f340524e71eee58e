"""Log p(x) of data or of a target: the one call that finds its own way, or goes the one asked for.

Bias: that of the way it goes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, overload

import jax
import numpy as np

from tightbound.core.budget import Budget
from tightbound.core.errors import UsageError
from tightbound.core.streams import stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, NoPrior
from tightbound.evidence.batches import Prepared, prepared
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.estimator import Estimator
from tightbound.evidence.exact.log_evidence import closed, exact
from tightbound.evidence.execution import Execution, ExecutionSettings, refuse
from tightbound.evidence.importance.evaluation import Evaluation, sampled
from tightbound.evidence.ladder.climbed import LEAST, OF_EACH, climbed
from tightbound.evidence.ladder.ladder import WIDEST
from tightbound.evidence.ladder.two_phase import AUDITED, Difference, confirmed, corrected, doubted
from tightbound.evidence.verdict import WORDS
from tightbound.models import Bayesian, Model
from tightbound.models.shapes import size_of_z

WITHOUT = ("batch_size", "chunk", "resume")
"""Execution settings that the ladder has no use for."""
UNUSED = (
    "without a posterior the ladder goes datum by datum and has no use for {name}=: "
    "leave it out; budget= says what the call may cost"
)


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    k: int,
    temperatures: int | None = None,
    chains: int = 16,
    bounds_at: Sequence[int] | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Evaluation: ...


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    temperatures: int | None = None,
    chains: int = 16,
    budget: int | str | None = None,
    bounds_at: Sequence[int] | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Evaluation: ...


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: None = None,
    x: DataLike | None = None,
    *,
    budget: int | str | None = None,
    **execution: Unpack[ExecutionSettings],
) -> Estimate: ...


@overload
def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None = None,
    x: DataLike | None = None,
    *,
    by: Estimator,
    **execution: Unpack[ExecutionSettings],
) -> Estimate: ...


def evaluate(
    model: Model | Bayesian,
    posterior: AbstractConditional | None = None,
    x: DataLike | None = None,
    *,
    by: Estimator | None = None,
    k: int | None = None,
    temperatures: int | None = None,
    chains: int = 16,
    budget: int | str | None = None,
    bounds_at: Any = None,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) of each datum, finds its own way to it, and says how far to believe it.

    Without settings:

    - with no posterior, what can be summed or has a closed form is exact, and else each datum or
      target climbs the ladder (`tb.evidence.LadderEvidence`): modes are sought, a mixture that
      covers them is drawn from, and annealed from where its weights ask for it, until two rungs
      agree;
    - with one, importance sampling with k = 5000 judges all data, and the ladder some of them, of
      those whose weights pass and of those whose weights do not: `recommended` is the mean that
      they correct, and the word on q(z|x) is "do not trust" where the ladder is above it. So q
      that misses a mode shows, though its weights do not know of it. Where importance sampling is
      trusted and the ladder, less sure, does not contradict it, the mean stays as it was. Where z
      has more than 512 numbers there is no ladder, and importance sampling stands alone.

    With `k` it is importance sampling from q(z|x) alone, and with `by` another estimator. Memory
    grows with neither k nor n, unless draws are kept.

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
        budget: What the ladder may cost: a number of evaluations of log p(x, z) and of its
            gradient, or a time such as "30 s" or "5 min", for all data together. By default 300,000
            for each datum, and at least a million; beside importance sampling, where 16 data are
            looked at, no more than its own draws, if they are more than a million.
        bounds_at: Numbers of draws up to k at which importance sampling gives its bound, in
            `bound_by_k`, beside 1, 5, 50, 500, 5000, 50000 and k.
        execution: `key`, `binarize`, `batch_size` (by default 5,000 draws together on each device),
            `chunk`, `progress`, `resume` and `keep`: see `tb.evidence.Execution`. The ladder goes
            datum by datum: without a posterior sizes and `resume` are refused.

    Returns:
        An `Evaluation`, a `LadderEvidence`, an `ExactEvidence`, or what `by` gives.

    Raises:
        UsageError: Data outside the likelihood's support (row and column are named), wrong
            sizes, a posterior without a density, no posterior where z is not on all real numbers,
            a setting that the way taken has no use for, or a distribution over models.
        NonFiniteError: A log-weight is NaN or +inf; the rows are named.
    """
    if isinstance(model, Bayesian):
        raise UsageError(
            "a Bayesian model is no single p(x, z): evaluate its plug-in `model.mean`, or models "
            "from q(theta), `model.draw(key)`"
        )
    if by is not None:
        own = (k, temperatures, chains, budget, bounds_at is not None)
        return _by(by, model, posterior, x, own, execution)
    run = Execution.of(evaluate, execution)
    settled = k is not None or temperatures is not None
    if posterior is None and not settled:
        if bounds_at is not None:
            raise UsageError("bounds_at= is of importance sampling: give a posterior, or k=")
        return _found(model, x, budget, run, execution)
    if settled and budget is not None:
        raise UsageError("budget= is for the way without settings: leave out k and temperatures")
    if budget is not None:
        _check_width(model)
    if budget is not None and model.prior.support != "real":
        raise UsageError(
            "budget= is for the ladder, which moves z on all real numbers, and this prior has "
            f"{model.prior.support} values: leave it out"
        )
    # The ladder moves z on all real numbers, and has covariances of them.
    alone = settled or model.prior.support != "real" or _wide(model)
    data = prepared(model, x, run.binarize, run.key)
    judged = sampled(model, posterior, data, k, temperatures, chains, run, bounds_at, finish=alone)
    if alone:
        return judged
    found = _audited(judged, model, posterior, data, budget, run)
    if run.resume is not None:
        Path(run.resume).unlink(missing_ok=True)
    return found


def _found(
    model: Model,
    x: DataLike | None,
    budget: int | str | None,
    run: Execution,
    execution: ExecutionSettings,
) -> Estimate:
    """The evidence without a posterior: exact where it can be, else by the ladder."""
    if closed(model):
        if budget is not None:
            raise UsageError(
                "log p(x) of this model is exact, at next to no cost: leave out budget="
            )
        return exact(model, x, **execution)
    refuse(execution, WITHOUT, UNUSED)
    _check_width(model)
    data = prepared(model, x, run.binarize, run.key)
    limit = Budget.of(budget, max(LEAST, OF_EACH * data.n))
    return climbed(model, None, data, np.arange(data.n), limit, run)


def _wide(model: Model) -> bool:
    """Whether z has more numbers than the ladder is for; not where no prior says how many."""
    unknown = isinstance(model.prior, NoPrior) and model.prior.dim is None
    return not unknown and size_of_z(model) > WIDEST


def _check_width(model: Model) -> None:
    if _wide(model):
        raise UsageError(
            f"the ladder is for z of up to {WIDEST} numbers, and this model has "
            f"{size_of_z(model):,}: expected a posterior with k= draws, or "
            "by=tb.evidence.AIS(temperatures=1000)"
        )


def _audited(
    judged: Evaluation,
    model: Model,
    posterior: Any,
    data: Prepared,
    budget: int | str | None,
    run: Execution,
) -> Evaluation:
    """Importance sampling with what the ladder says of some data, half of either sort."""
    strata = np.asarray([word != WORDS[0] for word in judged.verdicts], np.int32)
    order = np.asarray(jax.random.permutation(stream(data.noise_key, "evaluate.audit"), data.n))
    passing, failing = (order[strata[order] == of] for of in (0, 1))
    half = AUDITED // 2
    few = min(len(passing), max(half, AUDITED - len(failing)))
    rows = np.sort(np.concatenate([passing[:few], failing[: AUDITED - few]]))
    # No more than importance sampling itself, whose cost is what this call was expected to take.
    usual = min(OF_EACH * len(rows), judged.draws * data.n)
    limit = Budget.of(budget, max(LEAST, usual))
    ladder = climbed(model, posterior, data, rows, limit, run)
    better = ladder if data.n == 1 else corrected(judged, ladder, strata)
    away = Difference.of(judged, better.mean, better.stderr_draws)
    judged = doubted(judged, ladder, away)
    if judged.verdict == WORDS[0] != better.verdict:
        better = confirmed(judged, ladder, away)
    return replace(judged, recommended=better, seconds=run.seconds)


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
    if own != (None, None, 16, None, False):
        raise UsageError(
            "k, temperatures, chains, budget and bounds_at are for the ways without by=: give "
            f"{by.name} its settings, as in by=tb.evidence.AIS(temperatures=1000, chains=16)"
        )
    return by.estimate(model, posterior, x, **execution)
