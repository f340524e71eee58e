"""Annealed importance sampling of log p(x): from the prior or a posterior to p(z|x), by HMC.

Reference: Neal 2001, Stat. Comput. 11; Wu, Burda, Salakhutdinov & Grosse 2016, arXiv 1611.04273,
section 3.
Bias: E[p-hat] = p(x) exactly, with step sizes that were tuned on other chains and then frozen; the
log is low on average: a stochastic lower bound, tighter with more temperatures.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Unpack

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data
from tightbound.core.streams import item_keys, streams
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.distributions.contracts import prior_given
from tightbound.evidence.annealing.memory import shared
from tightbound.evidence.batches import CHAINS_AT_ONCE, Batch, Prepared, prepared
from tightbound.evidence.densities import in_words, with_density
from tightbound.evidence.estimate import Estimate, of_log_weights, undefined
from tightbound.evidence.estimator import estimator
from tightbound.evidence.execution import Execution, ExecutionSettings, Found, per_device
from tightbound.evidence.rounding import heaviest, rounding
from tightbound.evidence.terms import BACKWARDS, CHAINS
from tightbound.mcmc import (
    Passed,
    Path,
    Problem,
    check_moves,
    check_tuning,
    forward,
    tuned,
    untuned,
)
from tightbound.models.model import Model
from tightbound.models.weights import split_each

LENGTH = 1024
"""Least length of a path's arrays, whatever the number of temperatures is."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AnnealedEvidence(Estimate):
    """Log-evidence per datum in nats by annealing, and the path that all chains went along."""

    betas: Float[np.ndarray, " t_and_start"]
    """Inverse temperatures, from 0 to 1."""
    step_sizes: Float[np.ndarray, " t"]
    """Length of a leapfrog step at each of them but the first."""

    @property
    def acceptance(self) -> Float[np.ndarray, " n"]:
        """Mean acceptance of each datum's moves."""
        return self.diagnostics["acceptance"]


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
    **execution: Unpack[ExecutionSettings],
) -> AnnealedEvidence:
    """Estimates log p(x) of each datum by annealed importance sampling; nats, a lower bound.

    Memory grows with neither temperatures nor n.

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
        execution: `key`, `binarize`, `batch_size` (by default 1,600 chains together), `progress`,
            `resume` and `keep`: see `tb.evidence.Execution`.

    Returns:
        An estimate with the path's `betas` and `step_sizes`, whose `diagnostics` hold each datum's
        mean `acceptance`.

    Raises:
        UsageError: A prior or start on something else than all real numbers, data outside the
            likelihood's support (row and column are named), or numbers outside their range.
    """
    run = Execution.of(annealed, execution, without=("chunk",))
    data = prepared(model, x, run.binarize, run.key)
    if start is not None:
        start = with_density(start, model, run.key, "annealing")
    settings = settled(start, temperatures, chains, schedule, leapfrog, acceptance, pilot)
    return lower_side(settings, model, data, run)


def lower_side(
    settings: "Annealing", model: Model, data: Prepared, run: Execution, **how: Any
) -> AnnealedEvidence:
    """The lower side."""
    return settings.estimate(
        lambda path, values, _, keys: forwards(
            model, settings.start, path, values, keys, leapfrog=settings.leapfrog
        ),
        model,
        data,
        run,
        **how,
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
        run: Execution,
        *,
        backwards: bool = False,
        common: bool = False,
        finish: bool = True,
    ) -> AnnealedEvidence:
        """Tunes a path on pilot chains and passes the chains of all data along it.

        Args:
            pass_along: (path, values, rows, keys) to the chains that went along.
            model: p(x, z).
            data: What has passed the checks.
            run: How the call is carried out.
            backwards: The mean weight is that of 1 / p(x).
            common: All chains of a datum start from one z.
            finish: Take a file to resume from away when all is done.
        """
        self.check(model)
        noise_key, pilot_key = streams(data.noise_key, "annealed.chains", "annealed.pilot")
        values, first = data.seen(np.arange(min(self.pilot, data.n)))
        keys = split_each(item_keys(pilot_key, first), self.chains)
        path = tuned_path(
            model,
            self.start,
            untuned(self.schedule, self.temperatures, _length(self.temperatures)),
            values,
            keys,
            leapfrog=self.leapfrog,
            acceptance=self.acceptance,
            adaptive=self.schedule == "adaptive",
        )
        usual = None
        if common:
            again = split_each(item_keys(pilot_key, first + data.n), self.chains)
            passed = forwards(model, self.start, path, values, again, leapfrog=self.leapfrog)
            usual = jnp.mean(passed.deviation, axis=1)
        # Backwards chains end at the start, not at the posterior.
        keep = not backwards and run.keeps(model, self.chains)

        def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
            keys = split_each(item_keys(noise_key, items), self.chains)
            passed = pass_along(path, values, items, keys)
            return _weighed(model, values, passed, path, usual, keep=keep)

        found = run.estimate(
            one_batch,
            data,
            model=model,
            direction="upper" if backwards else "lower",
            method=f"backwards, {self.words()}" if backwards else self.words(),
            draws=self.chains,
            terms=BACKWARDS if backwards else CHAINS,
            doing="annealing backwards" if backwards else "annealing",
            at_once=per_device(CHAINS_AT_ONCE, of_each=self.chains),
            finish=finish,
        )
        of_path: dict[str, Any] = {
            "betas": np.asarray(path.betas)[: self.temperatures + 1],
            "step_sizes": np.asarray(path.step_sizes)[: self.temperatures],
            "log_evidence": -found.log_evidence if backwards else found.log_evidence,
        }
        return AnnealedEvidence(**(vars(found) | of_path))

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
def _weighed(
    model: Model,
    x: Data,
    passed: Passed,
    path: Path,
    usual: Float[Array, " t"] | None,
    *,
    keep: bool,
) -> Batch:
    """What the weights of each datum's chains say; `usual` is for chains with a common start."""
    rounded = rounding(model, x, heaviest(passed.log_w, passed.z)[0])
    drawn = (passed.z, passed.log_w) if keep else None
    of = of_log_weights(passed.log_w, CHAINS)
    more = {**of.tail, "acceptance": jnp.sum(passed.acceptance, axis=0) / path.length}
    stderr = of.stderr
    if usual is not None:
        more["shared"] = shared(path.betas, usual, passed.deviation)
        stderr = jnp.hypot(stderr, more["shared"])
    found = Found(of.log_z, stderr, of.ess, rounded, more, drawn)
    return Batch(found, undefined(passed.log_w))


def _length(temperatures: int) -> int:
    """The length of a path's arrays: the same for all usual numbers, and so is their program."""
    return max(LENGTH, 1 << (temperatures - 1).bit_length())


def problem_of(model: Model, start: AbstractExplicit | None) -> Problem:
    """From the prior the tilt is the log-likelihood, from q(z|x) the log-weight."""
    if start is None:
        return Problem(
            lambda x, key: model.prior.sample(prior_given(model.prior, x), key=key),
            model.log_prior,
            model.log_likelihood,
        )
    return Problem(
        lambda x, key: start.sample(x, key=key),
        lambda x, z: start.log_prob(z, x),
        lambda x, z: model.log_joint(x, z) - start.log_prob(z, x),
    )


@filter_jit
def tuned_path(
    model: Model,
    start: AbstractExplicit | None,
    path: Path,
    x: Data,
    keys: Key[Array, "n c"],
    **how: Any,
) -> Path:
    """Temperatures and step sizes from pilot chains."""
    return tuned(problem_of(model, start), path, x, keys, **how)


@filter_jit
def forwards(
    model: Model,
    start: AbstractExplicit | None,
    path: Path,
    x: Data,
    keys: Key[Array, "n c"],
    *,
    leapfrog: int,
) -> Passed:
    """Chains from the start to the posterior."""
    return forward(problem_of(model, start), path, x, keys, leapfrog=leapfrog)


AIS = estimator("AIS", annealed, posterior="start")
"""`annealed` with its settings, as a value: see `tb.evaluate(by=...)`."""
