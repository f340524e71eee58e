"""Annealed importance sampling of log p(x): from the prior or a posterior to p(z|x), by HMC.

Reference: Neal 2001, Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273,
section 3.
Bias: E[p-hat] = p(x) exactly, with step sizes that were tuned on other chains and then frozen; the
log is low on average: a stochastic lower bound, tighter with more temperatures.
"""

import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.distributions import AbstractExplicit
from tightbound.errors import UsageError, at_least
from tightbound.evidence.estimate import Estimate, of_log_weights
from tightbound.evidence.per_datum import drawn, in_batches, prepared
from tightbound.mcmc import Path, Problem, check_moves, forward, tuned
from tightbound.models.model import Model
from tightbound.models.weights import split_each
from tightbound.randomness import item_keys

AT_ONCE = 1600
"""Chains that move together by default."""


def annealed(
    model: Model,
    x: Float[np.ndarray, "n d"],
    *,
    start: AbstractExplicit | None = None,
    temperatures: int = 1000,
    chains: int = 16,
    schedule: str = "sigmoid",
    leapfrog: int = 10,
    acceptance: float = 0.65,
    pilot: int = 16,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Estimate:
    """Estimates log p(x) of each datum by annealed importance sampling; nats, a lower bound.

    Memory grows with neither temperatures nor n. Apart from rounding, `batch_size` does not change
    the result: a datum's chains depend on the key and on its row alone.

    Args:
        model: p(x, z), with a prior on all real numbers.
        x: Data of shape (n, d).
        start: A posterior q(z|x) from which chains start; left out, they start at the prior.
        temperatures: Steps T of the path; the cost is T (leapfrog + 2) gradients for each chain.
        chains: Chains per datum, whose weights are averaged.
        schedule: Spacing of the temperatures: "sigmoid" (Wu et al.), "linear", or "adaptive"
            (even in the path's length, which pilot chains measure).
        leapfrog: Leapfrog steps of a transition.
        acceptance: What the step sizes are tuned to, on pilot chains that are then thrown away.
        pilot: Data of the pilot chains, the first so many.
        key: Seed or key of draws and binarisation.
        binarize: As for `fit`; "dynamic" draws each item once, by its row, as `tb.evaluate` does
            with the same key.
        batch_size: Data at once; by default 1,600 chains of them together.
        progress: Show a progress bar on standard error; by default if that is a terminal.

    Raises:
        UsageError: A prior or start on something else than all real numbers, data outside the
            likelihood's support (row and column are named), or numbers outside their range.
    """
    check_annealing(model, start, chains=chains, leapfrog=leapfrog, acceptance=acceptance)
    at_least(1, pilot=pilot)
    data = prepared(model, x, binarize, key)
    batch_size = max(1, AT_ONCE // chains) if batch_size is None else batch_size
    at_least(1, batch_size=batch_size)
    noise_key, pilot_key = jax.random.split(data.noise_key)
    began = time.perf_counter()
    first = jnp.arange(min(pilot, len(x)))
    path = tuned_path(
        model,
        start,
        drawn(x, first, data),
        split_each(item_keys(pilot_key, first), chains),
        schedule=schedule,
        temperatures=temperatures,
        leapfrog=leapfrog,
        acceptance=acceptance,
    )
    accepted: list[np.ndarray] = []

    def estimate(values: Float[Array, "b d"], items: Int[Array, " b"]) -> Any:
        keys = split_each(item_keys(noise_key, items), chains)
        numbers, acceptance = _annealed(model, start, path, values, keys, leapfrog=leapfrog)
        accepted.append(np.asarray(acceptance))
        return numbers

    log_z, stderr, ess, result = in_batches(
        estimate,
        x,
        data,
        batch_size=batch_size,
        doing="annealing",
        progress=progress,
    )
    return Estimate(
        log_evidence=log_z,
        stderr=stderr,
        ess=ess,
        result=result,
        direction="lower",
        method=words(start, temperatures, chains, schedule, leapfrog),
        draws=chains,
        binarisation=data.binarisation.once,
        diagnostics={
            "betas": np.asarray(path.betas),
            "step_sizes": np.asarray(path.step_sizes),
            "acceptance": np.mean(accepted, axis=0),
        },
        seconds=time.perf_counter() - began,
    )


def check_annealing(
    model: Model,
    start: AbstractExplicit | None,
    *,
    chains: int,
    leapfrog: int,
    acceptance: float,
) -> None:
    """Refuses what cannot be annealed, in words.

    Raises:
        UsageError: See `annealed`.
    """
    check_moves(model.prior, "annealed importance sampling")
    if start is not None and not (start.support == "real" and start.fixed_support):
        raise UsageError(
            "annealing mixes the densities of start and posterior: expected a start on all real "
            f"numbers, got {type(start).__name__} with {start.support} values"
        )
    at_least(1, chains=chains, leapfrog=leapfrog)
    if not 0 < acceptance < 1:
        raise UsageError(f"expected acceptance between 0 and 1, got {acceptance}")


def words(
    start: AbstractExplicit | None, temperatures: int, chains: int, schedule: str, leapfrog: int
) -> str:
    """The settings in words."""
    origin = "the prior" if start is None else "q(z|x)"
    return (
        f"annealed importance sampling from {origin}: {temperatures} temperatures ({schedule}), "
        f"{chains} chains, HMC with {leapfrog} leapfrog steps"
    )


def problem_of(model: Model, start: AbstractExplicit | None) -> Problem:
    """From the prior the tilt is the log-likelihood, from q(z|x) the log-weight."""
    if start is None:
        return Problem(
            lambda x, key: model.prior.sample(None, key=key),
            lambda x, z: model.prior.log_prob(z, None),
            lambda x, z: model.likelihood.log_prob(x, z),
        )
    return Problem(
        lambda x, key: start.sample(x, key=key),
        lambda x, z: start.log_prob(z, x),
        lambda x, z: model.log_joint(x, z) - start.log_prob(z, x),
    )


@eqx.filter_jit
def tuned_path(
    model: Model,
    start: AbstractExplicit | None,
    x: Float[Array, "n d"],
    keys: Key[Array, "n c"],
    *,
    schedule: str,
    temperatures: int,
    leapfrog: int,
    acceptance: float,
) -> Path:
    """Temperatures and step sizes from pilot chains."""
    return tuned(
        problem_of(model, start),
        schedule,
        temperatures,
        x,
        keys,
        leapfrog=leapfrog,
        acceptance=acceptance,
    )


@eqx.filter_jit
def _annealed(
    model: Model,
    start: AbstractExplicit | None,
    path: Path,
    x: Float[Array, "n d"],
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
) -> tuple[Any, Float[Array, " t"]]:
    passed = forward(problem_of(model, start), path, x, keys, leapfrog=leapfrog)
    return of_log_weights(passed.log_w), passed.acceptance
