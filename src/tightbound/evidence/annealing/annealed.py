"""Annealed importance sampling of log p(x): from the prior or a posterior to p(z|x), by HMC.

Reference: Neal 2001, Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273,
section 3.
Bias: E[p-hat] = p(x) exactly, with step sizes that were tuned on other chains and then frozen; the
log is low on average: a stochastic lower bound, tighter with more temperatures.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, condition
from tightbound.core.streams import item_keys, streams
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.evidence.batches import (
    CHAINS_AT_ONCE,
    Batch,
    Prepared,
    data_at_once,
    in_batches,
    prepared,
)
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.resume import Finished
from tightbound.evidence.rounding import heaviest, rounding
from tightbound.mcmc import Passed, Path, Problem, check_moves, check_tuning, forward, tuned
from tightbound.models.model import Model
from tightbound.models.weights import split_each


def annealed(
    model: Model,
    x: DataLike | None = None,
    *,
    start: AbstractConditional | None = None,
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
    resume: str | os.PathLike[str] | None = None,
) -> Estimate:
    """Estimates log p(x) of each datum by annealed importance sampling; nats, a lower bound.

    Memory grows with neither temperatures nor n. Apart from rounding, `batch_size` does not change
    the result: a datum's chains depend on the key and on its row alone.

    Args:
        model: p(x, z), with a prior on all real numbers.
        x: Data of shape (n, d); none for a `Target`.
        start: A posterior q(z|x) from which chains start; left out, they start at the prior. One
            without a density is stood in for as in `tb.evaluate`.
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
        resume: A file .npz in which finished batches are kept, every 10 seconds or so, and which
            is removed at the end. A call with the same arguments goes on from it.

    Returns:
        An estimate whose `diagnostics` hold the path's `betas` and `step_sizes`, and each datum's
        mean `acceptance`.

    Raises:
        UsageError: A prior or start on something else than all real numbers, data outside the
            likelihood's support (row and column are named), or numbers outside their range.
    """
    data = prepared(model, x, binarize, key)
    if start is not None:
        start = with_density(start, model, key, "annealing")
    settings = settled(start, temperatures, chains, schedule, leapfrog, acceptance, pilot)
    return settings.estimate(
        lambda path, values, _, keys: _forward(
            model, start, path, values, keys, leapfrog=settings.leapfrog
        ),
        model,
        data,
        batch_size=batch_size,
        progress=progress,
        resume=resume,
        doing="annealing",
    )


class Annealing(NamedTuple):
    """How to anneal, in either direction; see `annealed`."""

    start: AbstractExplicit | None
    temperatures: int
    chains: int
    schedule: str
    leapfrog: int
    acceptance: float
    pilot: int

    def estimate(
        self,
        pass_along: Callable[..., Passed],
        model: Model,
        data: Prepared,
        *,
        batch_size: int | None,
        progress: bool | None,
        resume: str | os.PathLike[str] | None,
        doing: str,
        backwards: bool = False,
    ) -> Estimate:
        """Tunes a path on pilot chains and passes the chains of all data along it.

        Args:
            pass_along: (path, values, rows, keys) to the chains that went along.
            model: p(x, z).
            data: What has passed the checks.
            batch_size: As for `annealed`.
            progress: As for `annealed`.
            resume: As for `annealed`.
            doing: What the progress bar says.
            backwards: The mean weight is that of 1 / p(x).
        """
        self.check(model)
        batch_size = data_at_once(batch_size, draws=self.chains, at_once=CHAINS_AT_ONCE)
        noise_key, pilot_key = streams(data.noise_key, "annealed.chains", "annealed.pilot")
        began = time.perf_counter()
        values, first = data.seen(np.arange(min(self.pilot, data.n)))
        keys = split_each(item_keys(pilot_key, first), self.chains)
        path = _tuned(
            model,
            self.start,
            values,
            keys,
            schedule=self.schedule,
            temperatures=self.temperatures,
            leapfrog=self.leapfrog,
            acceptance=self.acceptance,
        )

        def estimate(values: Data, items: Int[Array, " b"]) -> Batch:
            keys = split_each(item_keys(noise_key, items), self.chains)
            passed = pass_along(path, values, items, keys)
            numbers, undefined, rounded = _numbers(model, values, passed)
            return Batch((numbers, jnp.mean(passed.acceptance, axis=0), rounded), undefined)

        asked = (model, data, path, self, batch_size, backwards)
        (log_mean, stderr, ess, result), acceptance, rounded = in_batches(
            estimate,
            data,
            batch_size=batch_size,
            doing=doing,
            progress=progress,
            finished=None if resume is None else Finished(resume, asked),
        )
        return Estimate(
            log_evidence=-log_mean if backwards else log_mean,
            stderr=stderr,
            ess=ess,
            result=result,
            direction="upper" if backwards else "lower",
            method=f"backwards, {self.words()}" if backwards else self.words(),
            draws=self.chains,
            binarisation=data.once,
            diagnostics={
                "betas": np.asarray(path.betas),
                "step_sizes": np.asarray(path.step_sizes),
                "acceptance": acceptance,
            },
            seconds=time.perf_counter() - began,
            rounding=rounded,
        )

    def check(self, model: Model) -> None:
        """Refuses what cannot be annealed, in words.

        Raises:
            UsageError: See `annealed`.
        """
        check_moves(model.prior, "annealed importance sampling")
        start = self.start
        if start is not None and not (start.support == "real" and start.fixed_support):
            raise UsageError(
                "annealing mixes the densities of start and posterior: expected a start on all "
                f"real numbers, got {type(start).__name__} with {start.support} values"
            )
        check_tuning(leapfrog=self.leapfrog, acceptance=self.acceptance)

    def words(self) -> str:
        """The settings in words."""
        origin = "the prior" if self.start is None else in_words(self.start) or "q(z|x)"
        return (
            f"annealed importance sampling from {origin}: {self.temperatures} temperatures "
            f"({self.schedule}), {self.chains} chains, HMC with {self.leapfrog} leapfrog steps"
        )


def settled(
    start: AbstractExplicit | None,
    temperatures: Any,
    chains: Any,
    schedule: str,
    leapfrog: Any,
    acceptance: float,
    pilot: Any,
) -> Annealing:
    """The settings with their sizes as Python's integers.

    Raises:
        UsageError: A size that is no whole number from 1.
    """
    sizes = {"temperatures": temperatures, "chains": chains, "leapfrog": leapfrog, "pilot": pilot}
    temperatures, chains, leapfrog, pilot = at_least(1, **sizes)
    return Annealing(start, temperatures, chains, schedule, leapfrog, acceptance, pilot)


@filter_jit
def _numbers(
    model: Model, x: Data, passed: Passed
) -> tuple[Any, Int[Array, " n"], Float[Array, " n"]]:
    """What the weights of each datum's chains say, how many are undefined, and their rounding."""
    rounded = rounding(model, x, heaviest(passed.log_w, passed.z)[0])
    return of_log_weights(passed.log_w), undefined(passed.log_w), rounded


def problem_of(model: Model, start: AbstractExplicit | None) -> Problem:
    """From the prior the tilt is the log-likelihood, from q(z|x) the log-weight."""
    if start is None:
        return Problem(
            lambda x, key: model.prior.sample(condition(x), key=key),
            model.log_prior,
            model.log_likelihood,
        )
    return Problem(
        lambda x, key: start.sample(x, key=key),
        lambda x, z: start.log_prob(z, x),
        lambda x, z: model.log_joint(x, z) - start.log_prob(z, x),
    )


@partial(filter_jit, purpose="annealing")
def _tuned(
    model: Model,
    start: AbstractExplicit | None,
    x: Data,
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


@partial(filter_jit, purpose="annealing")
def _forward(
    model: Model,
    start: AbstractExplicit | None,
    path: Path,
    x: Data,
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
) -> Passed:
    return forward(problem_of(model, start), path, x, keys, leapfrog=leapfrog)


AIS = estimator("AIS", annealed, posterior="start")
"""`annealed` with its settings, as a value: see `tb.evaluate(by=...)`."""
