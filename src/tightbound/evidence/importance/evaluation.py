"""The test log-likelihood of a fitted model by importance sampling, with all that is told of it.

Reference: Burda et al. 2015, arXiv 1509.00519, section 5.1 (k = 5000).
Bias: a stochastic lower bound that rises to log p(x) with k (see `importance`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys
from tightbound.evidence.annealing.ais import annealed
from tightbound.evidence.batches import Batch, Prepared
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import TAIL, Estimate, with_verdict
from tightbound.evidence.execution import Execution, Found, per_device
from tightbound.evidence.importance.growth import bias_by_growth
from tightbound.evidence.importance.importance import examined, prefixes
from tightbound.evidence.terms import DRAWS
from tightbound.evidence.verdict import WORDS, against_annealed
from tightbound.models.model import Model

K = 5000
"""Draws per datum by default."""
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


def sampled(
    model: Model,
    posterior: Any,
    data: Prepared,
    k: Any,
    temperatures: Any,
    chains: Any,
    run: Execution,
    bounds_at: Any = None,
    *,
    finish: bool = True,
) -> Evaluation:
    """Importance sampling from q(z|x), and annealing from it if asked: see `tb.evaluate`.

    The file to resume from stays without `finish`: who calls has more to do.
    """
    proposal = with_density(posterior, model, run.key, "importance sampling")
    (k,) = at_least(1, k=K if k is None else k)
    also = _up_to(k, bounds_at)
    chunk = min(k, 250) if run.chunk is None else run.chunk
    if temperatures is not None:
        temperatures, chains = at_least(1, temperatures=temperatures, chains=chains)
    keep = run.keeps(model, k)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(data.noise_key, items)
        size = min(chunk, k)
        ev, undefined, rounded, drawn = examined(
            model, proposal, values, keys, k=k, chunk=size, also=also, keep=keep
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
        finish=finish,
    )
    ais = None
    if temperatures is not None:
        ais = annealed(
            model,
            data.source,
            start=proposal,
            temperatures=temperatures,
            chains=chains,
            key=run.key,
            progress=run.progress,
            keep=run.keep,
            resume=None if run.resume is None else Path(run.resume).with_suffix(".annealed.npz"),
        )
    return _judged(found, ais, stands_in, run, prefixes(k, also))


def _up_to(k: int, bounds_at: Any) -> tuple[int, ...]:
    """The numbers of draws at which bounds are asked for, checked."""
    if bounds_at is None:
        return ()
    if not isinstance(bounds_at, Sequence) or isinstance(bounds_at, str):
        raise UsageError(
            f"expected bounds_at as a sequence of whole numbers, such as (64,), got {bounds_at!r}"
        )
    for j in bounds_at:
        at_least(1, **{"each number of bounds_at": j})
        if j > k:
            raise UsageError(
                f"expected bounds_at up to k = {k}, the draws that there are, got {j}; "
                f"ask for k={j}"
            )
    return tuple(map(int, bounds_at))


def _judged(
    found: Estimate,
    ais: Estimate | None,
    proposal: str,
    run: Execution,
    js: tuple[int, ...],
) -> Evaluation:
    """The estimate with what the growth of its bounds, and annealing, say of it."""
    more = dict(found.diagnostics)
    bounds = more.pop("bounds")
    means = np.mean(np.asarray(bounds, np.float64), axis=0)
    found = replace(found, diagnostics=more)
    # The verdict is that of the same numbers of draws, whatever others are asked for.
    always = prefixes(found.draws)
    growth = bias_by_growth(always, bounds[:, [js.index(j) for j in always]])
    found = with_verdict(found, DRAWS, growth=growth)
    further: dict[str, Any] = {
        "bound_by_k": {j: float(mean) for j, mean in zip(js, means, strict=True)},
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
