"""Annealing backwards from exact posterior draws: an upper bound on log p(x).

On data that the model itself has drawn, the z behind each x is an exact draw of p(z|x). Annealing
from it back to the start gives an unbiased estimate of 1 / p(x), and so an upper bound.

Reference: Grosse, Ghahramani & Adams 2015, arXiv 1511.02543; Wu et al. 2016, arXiv 1611.04273,
section 2.3 (bidirectional Monte Carlo).
Bias: E[1 / p-hat] = 1 / p(x) exactly; log p-hat is high on average: a stochastic upper bound.
Chains from one z are not independent: the standard error holds what they may share (`memory`).
"""

from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError
from tightbound.core.items import Data, One
from tightbound.core.streams import stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.distributions.steps import cut
from tightbound.evidence.annealing.ais import AnnealedEvidence, Annealing, problem_of, settled
from tightbound.evidence.batches import Prepared, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.execution import Execution, ExecutionSettings
from tightbound.mcmc import Passed, Path, backward
from tightbound.models.model import Model
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
) -> AnnealedEvidence:
    """Estimates log p(x) from above, from one exact draw of p(z|x) for each datum; nats.

    Args:
        model: p(x, z), with a prior on all real numbers.
        x: Data of shape (n, d), as they are: already binary where they are to be; None for a
            `Target`. Values may be missing (NaN).
        z: Exact draws of p(z|x): an array with a leading axis n, or a tuple of layers. Of a
            `Target` one, or one for each chain.
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
    end = None if start is None else with_density(start, model, run.key, "annealing")
    settings = settled(end, temperatures, chains, schedule, leapfrog, acceptance, pilot)
    return upper_side(settings, model, data, of_chains(model, z, data.n, settings.chains), run)


def of_chains(model: Model, z: Any, n: int, chains: int) -> Any:
    """Exact draws with an axis of the chains behind that of the data: one for all, or for each.

    Raises:
        UsageError: Draws that are not as many as the data, or, for a `Target`, one or as many as
            the chains.
    """
    lengths = {len(leaf) for leaf in jax.tree.leaves(z)}
    if isinstance(model, Target):
        if lengths not in ({1}, {chains}):
            raise UsageError(
                f"expected exact draws z of the target, one or {chains} (one for each chain), got "
                f"{lengths}"
            )
        return jax.tree.map(lambda leaf: np.asarray(leaf)[None], z)
    if lengths != {n}:
        raise UsageError(f"expected {n} exact draws z, one for each datum, got {lengths}")
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, None], z)


def upper_side(
    settings: Annealing, model: Model, data: Prepared, z: Any, run: Execution, **how: Any
) -> AnnealedEvidence:
    """The upper side, from draws z of shape (n, 1, ...) or (n, chains, ...)."""

    def pass_along(path: Path, values: Any, items: Int[Array, " b"], keys: Any) -> Passed:
        exact = jax.tree.map(lambda draws: jnp.asarray(draws)[items], z)
        chains = keys.shape[1]
        if jax.tree.leaves(exact)[0].shape[1] != chains:
            exact = jax.tree.map(lambda draws: jnp.repeat(draws, chains, axis=1), exact)
        exact = _cut(model, values, exact, keys)
        passed = _backward(
            model, settings.start, path, values, exact, keys, leapfrog=settings.leapfrog
        )
        # Rounding is that at the draws of the posterior, and not where the chains end.
        return passed._replace(z=exact)

    common = jax.tree.leaves(z)[0].shape[1] != settings.chains
    return settings.estimate(pass_along, model, data, run, backwards=True, common=common, **how)


@filter_jit
def _cut(model: Model, x: Data, z: Any, keys: Key[Array, "n c"]) -> Any:
    """Draws of z as those given data: of sequences, noise behind their ends."""

    def one(x: One, z: Any, key: PRNGKeyArray) -> Any:
        return cut(model.prior, x, z, stream(key, "reverse_annealed.cut"))

    return jax.vmap(jax.vmap(one, in_axes=(None, 0, 0)))(x, z, keys)


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
