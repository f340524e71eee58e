"""Annealing backwards from exact posterior draws: an upper bound on log p(x), and the sandwich.

On data that the model itself has drawn, the z behind each x is an exact draw of p(z|x). Annealing
from it back to the start gives an unbiased estimate of 1 / p(x), and so an upper bound; forward
annealing gives the lower one. The gap between them bounds the error of both on such data.

Reference: Grosse, Ghahramani & Adams 2015, arXiv 1511.02543; Wu et al. 2016, arXiv 1611.04273,
section 2.3 (bidirectional Monte Carlo).
Bias: E[1 / p-hat] = 1 / p(x) exactly; log p-hat is high on average: a stochastic upper bound.
"""

from typing import Any, NamedTuple, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key
from numpy.typing import ArrayLike

from tightbound.core.compilation import filter_jit, jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import first_keys, streams
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.evidence.annealing.ais import annealed, problem_of, settled
from tightbound.evidence.batches import mean, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.estimate import Estimate
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.evidence.verdict import Verdict, by_gap
from tightbound.mcmc import Passed, Path, backward
from tightbound.models.model import Model
from tightbound.models.shapes import item_shape
from tightbound.models.source import as_conditions, as_source
from tightbound.models.target import Target


def reverse_annealed(
    model: Model,
    x: DataLike | None,
    z: Any,
    *,
    start: AbstractConditional | None = None,
    temperatures: int = 1000,
    chains: int = 16,
    schedule: str = "sigmoid",
    leapfrog: int = 10,
    acceptance: float = 0.65,
    pilot: int = 16,
    **execution: Unpack[ExecutionSettings],
) -> Estimate:
    """Estimates log p(x) from above, from one exact draw of p(z|x) for each datum; nats.

    Args:
        model: p(x, z), with a prior on all real numbers.
        x: Data of shape (n, d), as they are: already binary where they are to be; None for a
            `Target`. Values may be missing (NaN).
        z: Exact draws of p(z|x): an array with a leading axis n, or a tuple of layers.
        start: Where the chains end: a posterior q(z|x), or the prior if left out.
        temperatures: This and what follows as for `annealed`.
        chains: Chains per datum; all start at its z.
        schedule: Spacing of the temperatures.
        leapfrog: Leapfrog steps of a transition.
        acceptance: What the step sizes are tuned to.
        pilot: Data of the pilot chains, which go forward.
        execution: `key`, `batch_size` (by default 1,600 chains together), `progress` and `resume`:
            see `tb.evidence.Execution`.

    Raises:
        UsageError: As for `annealed`, or draws that are not as many as the data.
    """
    run = Execution.of(reverse_annealed, execution, without=("binarize", "chunk", "keep"))
    data = prepared(model, x, "none", run.key)
    lengths = {len(leaf) for leaf in jax.tree.leaves(z)}
    if lengths != {data.n}:
        raise UsageError(f"expected {data.n} exact draws z, one for each datum, got {lengths}")

    end = None if start is None else with_density(start, model, run.key, "annealing")
    settings = settled(end, temperatures, chains, schedule, leapfrog, acceptance, pilot)

    def pass_along(path: Path, values: Any, items: Int[Array, " b"], keys: Any) -> Passed:
        exact = jax.tree.map(lambda draws: jnp.asarray(draws)[items], z)
        passed = _backward(
            model, settings.start, path, values, exact, keys, leapfrog=settings.leapfrog
        )
        # Rounding is that at the draws of the posterior, and not where the chains end.
        return passed._replace(
            z=jax.tree.map(lambda a: jnp.repeat(a[:, None], keys.shape[1], axis=1), exact)
        )

    return settings.estimate(pass_along, model, data, run, backwards=True)


@filter_jit
def _backward(
    model: Model,
    start: AbstractExplicit | None,
    path: Path,
    x: Data,
    z: Any,
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
) -> Passed:
    return backward(problem_of(model, start), path, x, z, keys, leapfrog=leapfrog)


class Sandwich(NamedTuple):
    """Bounds from both sides on data that the model has drawn; nats."""

    lower: Estimate
    upper: Estimate
    x: Float[np.ndarray, "n *item"]
    """The data; NaN where values were taken away."""

    @property
    def gap(self) -> float:
        """Mean of upper less lower: no more than this is wrong with either, on such data."""
        return mean(self.upper.log_evidence - self.lower.log_evidence)

    @property
    def stderr_gap(self) -> float:
        """Standard error of the gap: by its spread over the data, of one datum by the draws."""
        between = self.upper.log_evidence - self.lower.log_evidence
        if len(between) == 1:
            return float(np.hypot(self.lower.stderr, self.upper.stderr)[0])
        return float(np.std(between, ddof=1) / np.sqrt(len(between)))

    @property
    def judgement(self) -> Verdict:
        """The verdict on both bounds on such data, by their gap with its error."""
        return by_gap(self.upper.log_evidence - self.lower.log_evidence, self.stderr_gap)

    @property
    def verdict(self) -> str:
        """Its word."""
        return self.judgement.word

    def summary(self) -> str:
        """Both bounds and their gap in a few lines."""
        between = self.upper.log_evidence - self.lower.log_evidence
        return "\n".join(
            [
                f"on {len(self.x)} data drawn from the model, in nats per datum: "
                f"lower {self.lower.mean:.3f}, upper {self.upper.mean:.3f}, gap {self.gap:.3f}, "
                f"standard error {self.stderr_gap:.3f}, largest {between.max():.3f}",
                f"  verdict: {self.verdict} ({self.judgement.reason})",
                f"  {self.lower.method}",
                "  the gap bounds the error on the model's own data; real data may be harder",
            ]
        )


def sandwich(
    model: Model,
    posterior: AbstractConditional | None = None,
    *,
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
    """Bidirectional Monte Carlo: log p(x) of data that the model draws, from below and above; nats.

    Args:
        model: p(x, z), with a prior on all real numbers.
        posterior: Where annealing starts and ends; the prior if left out.
        n: Data to draw; with `observed` or `conditions` as many as they have rows.
        observed: Which values of the drawn data are known, such as `~np.isnan(x)` of real data x:
            the others are taken away, and the bounds are of log p(x_observed).
        conditions: Of a model with a condition, those that data are drawn for, of shape (n, c): the
            bounds are of log p(x|c).
        temperatures: This and what follows as for `tb.evidence.annealed`, for both directions.
        chains: Chains per datum.
        schedule: Spacing of the temperatures.
        leapfrog: Leapfrog steps of a transition.
        acceptance: What the step sizes are tuned to.
        pilot: Data of the pilot chains.
        execution: `key`, also of the data, `batch_size`, `progress` and `keep` (the chains of the
            lower side): see `tb.evidence.Execution`.

    Raises:
        UsageError: As for `tb.evidence.annealed`, or a mask or conditions of another shape.
    """
    run = Execution.of(sandwich, execution, without=("binarize", "chunk", "resume"))
    (n,) = at_least(1, n=n)
    given = None if n == 100 else n
    beside = as_conditions(conditions, model, given)
    if beside is not None:
        n = given = len(beside)
    if observed is not None:
        observed = _mask(observed, item_shape(model), given)
        n = len(observed)
    data_key, forward_key, backward_key = streams(
        run.key, "sandwich.data", "sandwich.forward", "sandwich.backward"
    )
    x, z = jit(jax.vmap(model.sample))(first_keys(data_key, n), beside)
    x = np.asarray(x)
    if observed is not None:
        x = np.where(observed, x, np.float32(np.nan))
    is_target = isinstance(model, Target)  # which says that it takes no data
    data = x if is_target else as_source(model, x, "the data", "none", conditions=beside)
    settings: dict[str, Any] = {
        "start": posterior,
        "temperatures": temperatures,
        "chains": chains,
        "schedule": schedule,
        "leapfrog": leapfrog,
        "acceptance": acceptance,
        "pilot": pilot,
        "batch_size": run.batch_size,
        "progress": run.progress,
    }
    lower = annealed(model, data, key=forward_key, binarize="none", keep=run.keep, **settings)
    upper = reverse_annealed(model, data, z, key=backward_key, **settings)
    return Sandwich(lower, upper, x)


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
