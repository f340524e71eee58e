"""Evidence of one datum or target without settings: rung by rung, until two agree.

1. *Search.* Climbs from dispersed starts (draws of the prior; where there is none, normals of four
   widths) lead to modes. A mixture of Student-t laws covers the modes, and what climbs passed on
   their way where it does not. New starts follow until two batches in a row find nothing new.
2. *Draws.* Importance sampling from the mixture. Draws that it did not cover add components, its
   shares follow the weights, and as many draws are made as the error wants.
3. *Annealing*, where weights do not say enough: from the mixture and from the start itself, with
   preconditioned Hamiltonian transitions, twice the temperatures each time, until two numbers of
   temperatures and both starts agree. What chains find and the mixture did not cover is added to
   it, and draws are made again.

It ends when it is sure, or when the budget is spent, with the best estimate that there is.

Reference: Burda et al. 2015, arXiv 1509.00519 (importance sampling); Neal 2001, Stat. Comput. 11
(annealing); Hesse et al. 2016, arXiv 1612.06468 (mixtures at modes as proposals).
Bias: of the mean weight none, for the draws of one proposal; which draws are made depends on those
before, and when to stop on the error, so that no bound is claimed. Low where a mode was not found.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.items import One, condition
from tightbound.core.streams import first_keys, item_keys, numbered, stream
from tightbound.distributions import AbstractConditional, AbstractExplicit, StudentMixture
from tightbound.evidence.annealing.ais import forwards, tuned_path
from tightbound.evidence.importance.pareto import khat, tail_length
from tightbound.evidence.ladder.climb import climb
from tightbound.evidence.ladder.cover import MOST, UNCOVERED, Cover, added, reweighted
from tightbound.evidence.ladder.units import Units, Whitened
from tightbound.mcmc import untuned
from tightbound.models.model import Model
from tightbound.models.shapes import like_z

FIRST = 256
"""Draws of the prior behind the units."""
SCALES = (0.3, 1.0, 3.0, 10.0)
"""Standard deviations of starts where there is no prior to draw from."""
BATCH = 16
"""Climbs together."""
BATCHES = 16
QUIET = 2
"""Batches in a row that find nothing, after which the search ends."""
BLOCK = 1024
"""Draws together."""
PRECISE = 0.02
"""Standard error that is aimed at, in nats."""
MOST_DRAWS = 64 * BLOCK
CHAINS = 64
PILOTS = 16
LEAPFROG = 5
ACCEPTANCE = 0.7
TEMPERATURES = 32
"""Of the first annealing."""
LENGTH = 4096
"""Places of a path, and so the most temperatures."""
WIDE = {True: 3.0, False: 30.0}
"""Largest scale of a component in units of the prior, or of the starts without one."""
REPAIRS = 4
"""Times that draws may add components."""
HEAVY = 0.02
"""Share of all weight of a draw at which a component may be missing."""
HOPELESS, TOLERABLE, SURE = 0.8, 0.7, 0.5
"""k-hat beyond which no more draws are made, draws are not enough, and are enough alone."""
EFFICIENT = 0.2
"""Effective share of draws that are enough alone."""
ANNEALINGS = 7
AGREE = 0.05
"""Nats within which two rungs are one, beside twice their standard errors."""


class Rung(NamedTuple):
    """What one step of the ladder said."""

    words: str
    log_evidence: float
    stderr: float
    khat: float
    cost: int
    """Evaluations of the density and of its gradient so far."""


class Drawn(NamedTuple):
    """Weighted draws in units u."""

    units: Units
    u: Float[np.ndarray, "n d"]
    log_w: Float[np.ndarray, " n"]


def scored(log_w: Float[np.ndarray, " n"]) -> tuple[float, float, float]:
    """Log of the mean weight, its standard error, and k-hat."""
    n, top = len(log_w), float(np.max(log_w))
    log_z = top + math.log(np.mean(np.exp(log_w - top)))
    stderr = math.sqrt(max(n / effective(log_w) - 1, 0) / (n - 1))
    largest = np.sort(log_w)[-tail_length(n) - 1 :]
    return log_z, stderr, float(_khat(jnp.asarray(largest - top, jnp.float32)))


def effective(log_w: Float[np.ndarray, " n"]) -> float:
    """Effective number of draws."""
    w = np.exp(log_w - np.max(log_w))
    return float(np.sum(w) ** 2 / np.sum(w**2))


def agree(one: Rung, other: Rung) -> bool:
    """Whether two rungs say the same."""
    error = math.hypot(one.stderr, other.stderr)
    return abs(one.log_evidence - other.log_evidence) <= max(AGREE, 2 * error)


_khat = filter_jit(khat)


class Ascent:
    """One datum's way up the ladder."""

    def __init__(
        self,
        model: Model,
        x: One,
        *,
        posterior: AbstractConditional | None = None,
        key: PRNGKeyArray,
        budget: int,
    ) -> None:
        """Finds the units: those of the prior's draws, or of z itself."""
        self.model, self.x, self.posterior, self.budget = model, x, posterior, budget
        self.key = key
        self.evaluations = self.gradients = 0
        self.rungs: list[Rung] = []
        self.has_prior = "samples" in model.prior.offers
        dim = sum(leaf.size for leaf in jax.tree.leaves(like_z(model)))
        self.centre, self.scale = np.zeros(dim), np.ones(dim)
        if self.has_prior:
            keys = first_keys(stream(key, "ladder.units"), FIRST)
            drawn = np.asarray(_drawn(model.prior, condition(x), keys), np.float64)
            low, self.centre, high = np.quantile(drawn, (0.16, 0.5, 0.84), axis=0)
            self.scale = np.maximum((high - low) / 2, 1e-6)
        self.units = Units.of(model, x, self.centre, np.diag(self.scale))
        self.cover = Cover.nothing(dim)
        self.climbs = self.quiet = self.blocks = 0
        self.regular, self.spent = True, False

    @property
    def dim(self) -> int:
        """Dimensions of z."""
        return len(self.centre)

    @property
    def cost(self) -> int:
        """Evaluations of the density and of its gradient so far."""
        return self.evaluations + self.gradients

    def search(self) -> None:
        """Climbs until two batches have found nothing that the mixture does not cover."""
        while self.quiet < QUIET and self.climbs < BATCH * BATCHES and self.cost < self.budget / 4:
            climbs = climb(self.units, jnp.asarray(self._starts(), jnp.float32))
            steps = int(climbs.steps)
            self.climbs += BATCH
            self.gradients += BATCH * (steps + 1)
            u = np.asarray(climbs.u, np.float64)[: steps + 1]
            heights = np.asarray(climbs.log_density, np.float64)[: steps + 1]
            at_ends = self.add(u[-1], heights[-1])
            on_the_way = self.add(u[:-1].reshape(-1, self.dim), heights[:-1].reshape(-1))
            found = at_ends + on_the_way
            self.quiet = 0 if found else self.quiet + 1
            self.regular &= bool(np.all(climbs.arrived)) and not on_the_way

    def _starts(self) -> Float[np.ndarray, "s d"]:
        """Where climbs start: draws of the prior, every other one of the posterior."""
        root = numbered(stream(self.key, "ladder.starts"), self.climbs // BATCH)
        if not self.has_prior:
            normal = np.asarray(jax.random.normal(root, (BATCH, self.dim)), np.float64)
            return normal * np.resize(SCALES, BATCH)[:, None]
        z = np.asarray(_drawn(self.model.prior, condition(self.x), first_keys(root, BATCH)))
        if self.posterior is not None:
            own = _drawn(self.posterior, self.x, first_keys(root, BATCH))
            z = np.where(np.arange(BATCH)[:, None] % 2 == 0, z, np.asarray(own))
        return (z - self.centre) / self.scale

    def add(
        self,
        u: Float[np.ndarray, "n d"],
        heights: Float[np.ndarray, " n"],
        beyond: float = UNCOVERED,
    ) -> int:
        """Components where the mixture does not cover points; how many there were."""
        before = len(self.cover.log_mass)
        self.cover, hessians = added(
            self.cover,
            self.units,
            self.values,
            u,
            heights,
            widest=WIDE[self.has_prior],
            beyond=beyond,
        )
        self.gradients += hessians * self.dim
        return len(self.cover.log_mass) - before

    def values(self, u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Log-density of points, by blocks."""
        self.evaluations += len(u)
        found = []
        for first in range(0, len(u), BLOCK):
            rows = np.minimum(np.arange(first, first + BLOCK), len(u) - 1)
            found.append(np.asarray(_values(self.units, jnp.asarray(u[rows], jnp.float32))))
        return np.concatenate(found)[: len(u)].astype(np.float64)

    def draw(self) -> None:
        """Draws of the mixture, as many as the error wants if they are of use."""
        for _ in range(REPAIRS):
            u, log_w, heights = self.block(self.cover.mixture)
            heavy = log_w > np.logaddexp.reduce(log_w) + np.log(HEAVY)
            if not self.add(u[heavy], heights[heavy], beyond=np.log(HEAVY * BLOCK)):
                break
        cover = reweighted(self.cover, u, log_w)
        other = self.block(cover.mixture)
        if effective(other[1]) > effective(log_w):
            self.cover, (u, log_w, _) = cover, other
        self.drawn = Drawn(self.units, u, log_w)
        self.note(f"importance sampling, {BLOCK} draws", log_w)
        mixture = self.cover.mixture
        while self.cost < self.budget:
            _, stderr, khat = scored(self.drawn.log_w)
            n = len(self.drawn.log_w)
            needed = n * (stderr / PRECISE) ** 2
            if stderr <= PRECISE or khat > HOPELESS or needed > MOST_DRAWS:
                break
            for _ in range(math.ceil(min(needed * 1.1 - n, 3 * n) / BLOCK)):
                u, log_w, _ = self.block(mixture)
                self.drawn = Drawn(
                    self.units,
                    np.concatenate([self.drawn.u, u]),
                    np.concatenate([self.drawn.log_w, log_w]),
                )
        self.note(f"importance sampling, {len(self.drawn.log_w)} draws", self.drawn.log_w)

    def note(self, words: str, log_w: Float[np.ndarray, " n"]) -> Rung:
        """Keeps what a step said."""
        rung = Rung(words, *scored(log_w), self.cost)
        self.rungs.append(rung)
        return rung

    def settle(self) -> None:
        """All rungs, as far as they are needed."""
        self.search()
        self.draw()
        for number in range(ANNEALINGS):
            log_z, stderr, khat = scored(self.drawn.log_w)
            share = effective(self.drawn.log_w) / len(self.drawn.log_w)
            smooth = self.regular and share > EFFICIENT and khat < SURE
            sampled = stderr <= 1.5 * PRECISE and khat < TOLERABLE
            if smooth and sampled:
                return
            temperatures = TEMPERATURES * 2**number
            cost = 2 * (2 * PILOTS + CHAINS) * temperatures * (LEAPFROG + 2)
            if self.cost + cost > self.budget:
                self.spent = True
                return
            found = 0
            estimates = []
            for from_start in (False, True):
                ends, log_w = self.annealed(temperatures, number, from_start=from_start)
                heights = self.values(ends)
                found += self.add(ends, heights)
                where = "the start" if from_start else "the mixture"
                words = f"annealing from {where}, {temperatures} temperatures, {CHAINS} chains"
                estimates.append(self.note(words, log_w))
            if found:
                self.draw()
                continue
            if sampled and all(agree(self.rungs[-3], rung) for rung in estimates[:1]):
                return

    def block(self, mixture: StudentMixture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fresh draws of the mixture with their log-weights and log-densities."""
        keys = item_keys(stream(self.key, "ladder.draws"), jnp.arange(BLOCK) + BLOCK * self.blocks)
        self.blocks += 1
        self.evaluations += BLOCK
        return tuple(np.asarray(a, np.float64) for a in _weighed(self.units, mixture, keys))

    def annealed(self, temperatures: int, number: int, *, from_start: bool) -> Any:
        """Chains from the mixture, or from where climbs start: their ends and log-weights."""
        mean, covariance = self.cover.moments()
        square = np.linalg.cholesky(covariance)
        units = Units.of(
            self.model,
            self.x,
            self.centre + self.scale * mean,
            self.scale[:, None] * square,
        )
        back = np.linalg.inv(square)
        base: AbstractExplicit | None = None
        if not from_start:
            base = StudentMixture.of(
                self.cover.share,
                (self.cover.location - mean) @ back.T,
                back @ self.cover.factor,
                components=MOST,
            )
        elif not self.has_prior:
            wide = np.diag(np.full(self.dim, 3.0))
            base = StudentMixture.of([1.0], np.zeros((1, self.dim)), wide[None], components=MOST)
        name = "ladder.from_start" if from_start else "ladder.annealed"
        root = numbered(stream(self.key, name), number)
        target = Whitened(units)
        nothing = jnp.zeros((1, 0))
        pilot = first_keys(stream(root, "ladder.pilot"), PILOTS)[None]
        path = tuned_path(
            target,
            base,
            untuned("sigmoid", temperatures, LENGTH),
            nothing,
            pilot,
            leapfrog=LEAPFROG,
            acceptance=ACCEPTANCE,
        )
        chains = first_keys(stream(root, "ladder.chains"), CHAINS)[None]
        passed = forwards(target, base, path, nothing, chains, leapfrog=LEAPFROG)
        self.gradients += (2 * PILOTS + CHAINS) * temperatures * (LEAPFROG + 2)
        ends = mean + np.asarray(passed.z[0], np.float64) @ square.T
        return ends, np.asarray(passed.log_w[0], np.float64)


@filter_jit
def _drawn(law: AbstractConditional, given: Any, keys: Key[Array, " n"]) -> Float[Array, "n d"]:
    def one(key: PRNGKeyArray) -> Float[Array, " d"]:
        return jax.flatten_util.ravel_pytree(law.sample(given, key=key))[0]

    return jax.vmap(one)(keys)


@filter_jit
def _values(units: Units, u: Float[Array, "n d"]) -> Float[Array, " n"]:
    return jax.vmap(units.log_density)(u)


@filter_jit
def _weighed(
    units: Units, mixture: StudentMixture, keys: Key[Array, " n"]
) -> tuple[Float[Array, "n d"], Float[Array, " n"], Float[Array, " n"]]:
    def one(key: PRNGKeyArray) -> Any:
        u = mixture.sample(key=key)
        height = units.log_density(u)
        return u, height - mixture.log_prob(u), height

    return jax.vmap(one)(keys)
