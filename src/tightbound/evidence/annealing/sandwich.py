"""Log p(x) from below and above, by annealing forwards and backwards: bidirectional Monte Carlo.

Forward chains give a lower bound. Chains back from an exact draw of p(z|x) give an upper one, and
such a draw is there where x and z have been drawn together: by the model, or by a simulator. The
gap between them then bounds the error of both. Of real data nobody has an exact draw. Forward
chains, chosen by their weights, are draws of p(z|x) as far as they have arrived: the other side is
then consistent as temperatures and chains grow, and no bound.

Reference: Grosse, Ghahramani & Adams 2015, arXiv 1511.02543; Wu et al. 2016, arXiv 1611.04273,
section 2.3; Grosse, Ancha & Roy 2016, arXiv 1606.02275 (data that the model draws in place of real
ones, with what can be matched alike).
Bias: of the lower side as of `annealed`, of the upper as of `reverse_annealed`.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import jax
import numpy as np
from jaxtyping import Bool, PRNGKeyArray, Shaped
from numpy.typing import ArrayLike

from tightbound.core.compilation import jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import first_keys, stream, streams
from tightbound.data import DataLike, Source
from tightbound.distributions import AbstractConditional
from tightbound.evidence.annealing.ais import AnnealedEvidence, lower_side, settled
from tightbound.evidence.annealing.reverse_annealed import of_chains, upper_side
from tightbound.evidence.batches import Prepared, mean, prepared, stderr_of_draws, stderr_of_mean
from tightbound.evidence.densities import with_density
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.evidence.verdict import WORDS, Verdict, by_gap
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape
from tightbound.models.source import as_conditions, as_source
from tightbound.models.target import Target

DRAWN, GIVEN, ANNEALED = "drawn", "given", "annealed"
MEANINGS = {
    DRAWN: "data drawn from the model: the gap bounds the error on such data; real data may be "
    "harder",
    GIVEN: "z as given: the gap bounds the error if each z is an exact draw of p(z|x), which "
    "others need not show",
    ANNEALED: "no exact draws of p(z|x) are known: the upper side starts from the lower one's "
    "chains, chosen by their weights, and is no bound. A gap shows that they have not arrived; "
    "without one they may still have missed modes, both sides alike",
}
"""What the draws are that the upper side starts from."""


class Sandwich(NamedTuple):
    """Log p(x) of the same data from both sides; nats."""

    lower: AnnealedEvidence
    upper: AnnealedEvidence
    """Of direction "consistent" where the draws it starts from are those of annealed chains."""
    x: Shaped[np.ndarray, "n *item"]
    """The data; NaN where values are missing."""
    z: Any
    """What the upper side's chains start from: an array of shape (n, ...), or a tuple of layers;
    where they are from annealed chains, of shape (n, chains, ...)."""
    origin: str
    """Where z is from: "drawn" with x from the model, "given", or "annealed"."""

    @property
    def gap(self) -> float:
        """Mean of upper less lower: no more than this is wrong with either, if both are bounds."""
        return mean(self.upper.log_evidence - self.lower.log_evidence)

    @property
    def stderr_gap(self) -> float:
        """Standard error of the gap over data and draws; for one datum over the chains alone."""
        between = self.upper.log_evidence - self.lower.log_evidence
        if len(between) > 1:
            return stderr_of_mean(between)
        return stderr_of_draws(np.hypot(self.upper.stderr, self.lower.stderr))

    @property
    def judgement(self) -> Verdict:
        """The verdict on both sides by their gap, never "trust" where the upper is no bound."""
        judged = by_gap(self.upper.log_evidence - self.lower.log_evidence, self.stderr_gap)
        if self.origin != ANNEALED or judged.word != WORDS[0]:
            return judged
        return judged._replace(word=WORDS[1], reason=f"{judged.reason}, but no bound from above")

    @property
    def verdict(self) -> str:
        """Its word."""
        return self.judgement.word

    def summary(self) -> str:
        """Both sides and their gap in a few lines."""
        largest = np.max(self.upper.log_evidence - self.lower.log_evidence)
        lines = [
            f"log p(x) from both sides, {len(self.x)} data, in nats per datum:",
            f"  lower {self.lower.mean:.3f}, upper {self.upper.mean:.3f}, gap {self.gap:.3f} "
            f"(standard error {self.stderr_gap:.3f}, largest {largest:.3f})",
            f"  verdict: {self.verdict} ({self.judgement.reason})",
            f"  {self.lower.method}",
            f"  {MEANINGS[self.origin]}",
        ]
        if self.origin == ANNEALED:
            ess = np.median(self.lower.ess)
            lines.append(f"  median ESS {ess:.1f} of the {self.lower.draws} chains chosen from")
        return "\n".join(lines)


def sandwich(
    model: Model,
    posterior: AbstractConditional | None = None,
    *,
    x: DataLike | None = None,
    z: Any = None,
    n: int = 100,
    observed: ArrayLike | None = None,
    conditions: ArrayLike | None = None,
    temperatures: int = 1000,
    chains: int = 16,
    schedule: str = "sigmoid",
    leapfrog: int = 10,
    acceptance: float = 0.65,
    pilot: int = 16,
    **execution: Unpack[ExecutionSettings],
) -> Sandwich:
    """Bidirectional Monte Carlo: log p(x) from below and above; nats.

    Left without x and z, of data that the model draws. With both, of pairs that are exact draws of
    p(x, z), such as a simulator's: their z are taken at your word. With x alone, of real data: the
    upper side then starts from annealed chains, and is consistent but no bound.

    Args:
        model: p(x, z), with a prior on all real numbers. A `Target` has no x: with z, exact draws
            of it (one, or one for each chain), both sides are bounds.
        posterior: Where annealing starts and ends; the prior if left out.
        x: Data of shape (n, d), or a source of them. With z already binary where they are to be.
        z: Exact draws of p(z|x): an array with a leading axis n, or a tuple of layers.
        n: Data to draw; with `observed` or `conditions` as many as they have rows.
        observed: Which values of the drawn data are known, such as `~np.isnan(x)` of real data x:
            the others are taken away, and the bounds are of log p(x_observed).
        conditions: Of a model with a condition, those that data are drawn for (or those of x), of
            shape (n, c): the bounds are of log p(x|c).
        temperatures: This and what follows as for `tb.evidence.annealed`, for both directions.
        chains: Chains per datum.
        schedule: Spacing of the temperatures.
        leapfrog: Leapfrog steps of a transition.
        acceptance: What the step sizes are tuned to.
        pilot: Data of the pilot chains.
        execution: `key`, also of the data, `binarize` (of x without z), `batch_size`, `progress`,
            `resume` (a second file stands beside it) and `keep` (the lower side's chains): see
            `tb.evidence.Execution`.

    Raises:
        UsageError: As for `tb.evidence.annealed`; z without x, or a mask, conditions or draws of
            another shape.
    """
    run = Execution.of(sandwich, execution, without=("chunk",))
    settings = settled(None, temperatures, chains, schedule, leapfrog, acceptance, pilot)
    data_key, forward_key, backward_key = streams(
        run.key, "sandwich.data", "sandwich.forward", "sandwich.backward"
    )
    if x is None and not isinstance(model, Target):
        if z is not None:
            raise UsageError("expected x with z: exact draws of p(z|x) belong to their data")
        x, z = _drawn(model, n, observed, conditions, data_key)
        origin = DRAWN
    else:
        _refuse_drawing(n, observed)
        if x is not None and not isinstance(x, Source):
            own = as_conditions(conditions, model, None)
            x = as_source(
                model, x, "the data", run.binarize if z is None else "none", conditions=own
            )
        origin = ANNEALED if z is None else GIVEN
    if origin != ANNEALED and run.binarize not in ("auto", "none"):
        raise UsageError("binarize is for x without z, which belongs to the binary values")
    binarize = run.binarize if origin == ANNEALED else "none"
    below = prepared(model, x, binarize, forward_key)
    above = _alike(below, prepared(model, x, binarize, backward_key))
    if posterior is not None:
        start = with_density(posterior, model, run.key, "annealing")
        settings = settings._replace(start=start)
    exact = None if z is None else of_chains(model, z, below.n, settings.chains)
    chosen = origin == ANNEALED
    # The upper side starts from what the lower one keeps.
    both = [dataclasses.replace(run, keep=True) if chosen else run, run]
    if run.resume is not None:
        beside = Path(run.resume).with_suffix(".backwards.npz")
        both[1] = dataclasses.replace(run, resume=beside)
    lower = lower_side(settings, model, below, both[0], finish=False)
    if chosen:
        z = exact = _chosen(lower.weighted, stream(run.key, "sandwich.chosen"))
        if not run.keeps(model, settings.chains):
            lower = dataclasses.replace(lower, weighted=None)
    upper = upper_side(settings, model, above, exact, both[1])
    if chosen:
        upper = dataclasses.replace(upper, direction="consistent")
    if run.resume is not None:
        Path(run.resume).unlink(missing_ok=True)
    return Sandwich(lower, upper, np.asarray(below.source.x), jax.tree.map(np.asarray, z), origin)


def _drawn(
    model: Model,
    n: Any,
    observed: ArrayLike | None,
    conditions: ArrayLike | None,
    key: PRNGKeyArray,
) -> tuple[Source, Any]:
    """Data of the model with what is known of them, and the z behind each."""
    (n,) = at_least(1, n=n)
    given = None if n == 100 else n
    beside = as_conditions(conditions, model, given)
    if beside is not None:
        n = given = len(beside)
    if observed is not None:
        observed = _mask(observed, item_shape(model), given)
        n = len(observed)
    keys = first_keys(key, n)
    if observed is None:
        x, z = jit(jax.vmap(model.sample))(keys, beside)
    else:
        x, z = jit(jax.vmap(model.sample_observed))(keys, observed, beside)
        x = np.where(observed, np.asarray(x), np.float32(np.nan))
    return as_source(model, np.asarray(x), "the data", "none", conditions=beside), z


def _refuse_drawing(n: int, observed: Any) -> None:
    """Refuses what is for data that the model draws."""
    if n != 100 or observed is not None:
        raise UsageError(
            "n and observed are for data that the model draws: leave them out with x or a Target "
            "(missing values of x are NaN)"
        )


def _alike(one: Prepared, other: Prepared) -> Prepared:
    """The same binary data for both directions, with the other's noise."""
    return one._replace(noise_key=other.noise_key)


def _chosen(drawn: Any, key: PRNGKeyArray) -> Any:
    """For each chain of the upper side a draw of the lower one's, by their weights."""
    chains = drawn.log_weights.shape[-1]
    found = dataclasses.replace(drawn, z=drawn.unconstrained).resample(chains, key)
    without_data = drawn.log_weights.ndim == 1
    return jax.tree.map(lambda leaf: leaf[None], found) if without_data else found


def _mask(observed: Any, item: tuple[int, ...], n: int | None) -> Bool[np.ndarray, "n *item"]:
    """The mask as an array.

    Raises:
        UsageError: It is not of booleans, or of another shape than the data to draw.
    """
    mask = np.asarray(observed)
    rows = len(mask) if mask.ndim and n is None else n
    expected = ("n" if n is None else n, *item)
    if mask.dtype != np.bool_ or mask.shape != (rows, *item) or not rows:
        raise UsageError(
            f"expected observed as booleans of shape ({', '.join(map(str, expected))}), True where "
            f"a value is known, got {mask.dtype} of shape {mask.shape}"
        )
    return mask
