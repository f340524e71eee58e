"""Evidence of one datum or target without settings: rung by rung, until two agree.

1. *Search.* Climbs from dispersed starts (draws of the prior; where there is none, normals of four
   widths) lead to modes. A mixture of Student-t laws covers the modes, and what climbs passed on
   their way where it does not. New starts follow until 48 in a row, and three for each mode,
   find nothing new.
2. *Draws.* Importance sampling from the mixture. Draws that it did not cover add components;
   shares, locations and scales follow the weights until these are even; and as many draws are made
   as the error wants.
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

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.budget import Budget
from tightbound.core.compilation import filter_jit
from tightbound.core.errors import NonFiniteError
from tightbound.core.items import One
from tightbound.core.streams import first_keys, item_keys, numbered, stream
from tightbound.distributions import AbstractConditional, StudentMixture
from tightbound.distributions.contracts import prior_given
from tightbound.evidence.ladder.adapt import Pool, refitted, reweighted
from tightbound.evidence.ladder.anneal import CHAINS, annealed, cost
from tightbound.evidence.ladder.climb import climb
from tightbound.evidence.ladder.cover import UNCOVERED, Cover, added
from tightbound.evidence.ladder.rungs import Drawn, Rung, apart, effective, scored
from tightbound.evidence.ladder.units import Units
from tightbound.evidence.terms import CHAINS as TERMS
from tightbound.evidence.terms import DRAWS, Terms
from tightbound.evidence.verdict import WORDS
from tightbound.models.model import Model
from tightbound.models.shapes import size_of_z

WIDEST = 512
"""Dimensions of z: its covariances, one for each component, are to fit into memory."""
FIRST = 256
"""Draws of the prior behind the units."""
SCALES = (1.0, 3.0, 10.0, 30.0)
"""Standard deviations of starts where there is no prior to draw from."""
AROUND = 2.0
"""Standard deviations of what has been found, of starts beside these."""
BATCH = 16
"""Climbs together."""
MOST_CLIMBS = 512
QUIET, QUIET_EACH = 48, 3
"""Climbs in a row that find nothing, after which the search ends: in all, and for each mode, so
that one with an equal share of all starts is missed in 1 of 20 cases."""
BLOCK = 1024
"""Draws together."""
PRECISE = 0.015
"""Standard error that is aimed at, in nats."""
BLOCKS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of blocks that are judged: each has a program of its own."""
ARRIVED = 0.5
"""Share of climbs that come to an end on a smooth density."""
TEMPERATURES = 32
"""Of the first annealing."""
WIDE = {True: 3.0, False: 30.0}
"""Largest scale of a component in units of the prior, or of the starts without one."""
REPAIRS = 4
"""Times that draws may add components."""
REFITS = 8
"""Times that draws may move components."""
EVEN, LIGHT, WORSE = 0.7, 0.5, 0.9
"""Effective share of draws and k-hat from which on components stay, and by how much that share may
fall by chance where they moved."""
HEAVY, HEAVIEST = 2.0, 3.0
"""Nats by which a draw's weight exceeds the mean where the mixture wants another component, and
where a climb from it may lead to a mode."""
HOPELESS, TELLING = 0.8, 4
"""k-hat beyond which no more draws are made, and the blocks from which on it counts."""
USEFUL = 0.03
"""Standard error that as many draws as there may be must promise, for draws to go on."""
EFFICIENT = 0.2
"""Effective share of draws that are enough alone."""
ANNEALINGS = 7


class Ascent:
    """One datum's way up the ladder."""

    def __init__(
        self,
        model: Model,
        x: One,
        *,
        posterior: AbstractConditional | None = None,
        key: PRNGKeyArray,
        budget: Budget,
    ) -> None:
        """Finds the units: those of the prior's draws, or of z itself."""
        self.model, self.x, self.posterior, self.budget = model, x, posterior, budget
        self.key = key
        self.evaluations = self.gradients = 0
        self.rungs: list[Rung] = []
        self.has_prior = "samples" in model.prior.offers
        dim = size_of_z(model)
        self.centre, self.scale = np.zeros(dim), np.ones(dim)
        if self.has_prior:
            keys = first_keys(stream(key, "ladder.units"), FIRST)
            drawn = np.asarray(_drawn(model.prior, prior_given(model.prior, x), keys), np.float64)
            low, self.centre, high = np.quantile(drawn, (0.16, 0.5, 0.84), axis=0)
            self.scale = np.maximum((high - low) / 2, 1e-6)
        self.units = Units.of(model, x, self.centre, np.diag(self.scale))
        self.cover = Cover.nothing(dim)
        self.climbs = self.quiet = self.modes = self.blocks = 0
        self.arrived = True
        self.crowded = False
        self.doubts: list[str] = []
        self.best: Rung | None = None

    @property
    def where(self) -> str:
        """Where climbs start, in words."""
        if not self.has_prior:
            scales = ", ".join(f"{scale:g}" for scale in SCALES)
            return f"normal draws about 0 of scales {scales} and about what they found"
        return "draws of the prior" + ("" if self.posterior is None else " and of q(z|x)")

    @property
    def dim(self) -> int:
        """Dimensions of z."""
        return len(self.centre)

    @property
    def cost(self) -> int:
        """Evaluations of the density and of its gradient so far."""
        return self.evaluations + self.gradients

    def search(self) -> None:
        """Climbs until enough of them have found nothing that the mixture does not cover."""
        # Whatever the budget, one batch: without it there is nothing to estimate from.
        while not self.climbs or (
            not self.searched and self.climbs < MOST_CLIMBS and self.budget.allows(4 * self.cost)
        ):
            self.quiet = 0 if self.explore(self._starts()) else self.quiet + BATCH
        if not len(self.cover.log_mass):
            raise NonFiniteError(
                f"log p(x, z) or its gradient is not finite at any of {self.climbs} starts, "
                f"{self.where}: give a Target a prior= that reaches where the density is"
            )
        if not self.searched:
            self.doubts.append(f"the last of {self.climbs} climbs still found something new")

    @property
    def searched(self) -> bool:
        """Whether enough climbs in a row have found nothing (more where there are many modes).

        Or whether what they find has no place any more.
        """
        return self.crowded or self.quiet >= max(QUIET, QUIET_EACH * self.modes)

    def explore(self, starts: Float[np.ndarray, "s d"]) -> int:
        """Climbs from some starts, and covers where they come; how many components that took."""
        starts = np.resize(starts, (BATCH, self.dim))
        climbs = climb(self.units, jnp.asarray(starts, jnp.float32))
        steps = int(climbs.steps)
        self.climbs += BATCH
        self.gradients += BATCH * (steps + 1)
        u = np.asarray(climbs.u, np.float64)[: steps + 1]
        heights = np.asarray(climbs.log_density, np.float64)[: steps + 1]
        self.arrived &= bool(np.mean(climbs.arrived) >= ARRIVED)
        at_ends = self.add(u[-1], heights[-1])
        self.modes += at_ends
        return at_ends + self.add(u[:-1].reshape(-1, self.dim), heights[:-1].reshape(-1))

    def _starts(self) -> Float[np.ndarray, "s d"]:
        """Where climbs start: draws of the prior, every other one of the posterior."""
        root = numbered(stream(self.key, "ladder.starts"), self.climbs // BATCH)
        if not self.has_prior:
            normal = np.asarray(jax.random.normal(root, (BATCH, self.dim)), np.float64)
            from_zero = normal * np.repeat(SCALES, BATCH // len(SCALES))[:, None]
            if not len(self.cover.log_mass):
                return from_zero
            # What has been found tells the scale at which there may be more.
            mean, covariance = self.cover.moments()
            around = mean + AROUND * normal @ np.linalg.cholesky(covariance).T
            return np.where(np.arange(BATCH)[:, None] % 2 == 0, around, from_zero)
        prior = self.model.prior
        z = np.asarray(_drawn(prior, prior_given(prior, self.x), first_keys(root, BATCH)))
        if self.posterior is not None:
            own = _drawn(self.posterior, self.x, first_keys(stream(root, "ladder.own"), BATCH))
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
        if self.crowded:
            return 0
        self.cover, hessians, self.crowded = added(
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
        u, log_w = self.block(self.cover.mixture)
        for _ in range(REPAIRS):
            share = log_w - np.logaddexp.reduce(log_w) + np.log(BLOCK)
            heavy = share > HEAVY
            found = self.explore(u[share > HEAVIEST]) if np.any(share > HEAVIEST) else 0
            if np.any(heavy):
                found += self.add(u[heavy], self.values(u[heavy]), beyond=HEAVY)
            if not found:
                break
            u, log_w = self.block(self.cover.mixture)
        self.refit(u, log_w)
        # Draws that had a say in the mixture, or in when to stop adding to it, do not count.
        u, log_w = self.block(self.cover.mixture)
        self.drawn = Drawn(u, log_w)
        found = self.note(f"importance sampling, {BLOCK} draws", log_w)
        for blocks in BLOCKS:
            needed = len(self.drawn.log_w) * (found.stderr / PRECISE) ** 2
            hopeless = found.khat > HOPELESS and len(self.drawn.log_w) >= TELLING * BLOCK
            if needed <= len(self.drawn.log_w) or hopeless:
                break
            least = found.stderr * (len(self.drawn.log_w) / (BLOCKS[-1] * BLOCK)) ** 0.5
            if least > USEFUL or not self.budget.allows(self.cost, blocks * BLOCK):
                break
            if blocks * BLOCK < min(needed, 4 * len(self.drawn.log_w)):
                continue
            while len(self.drawn.log_w) < blocks * BLOCK:
                u, log_w = self.block(self.cover.mixture)
                self.drawn = Drawn(
                    np.concatenate([self.drawn.u, u]),
                    np.concatenate([self.drawn.log_w, log_w]),
                )
            found = self.note(f"importance sampling, {blocks * BLOCK} draws", self.drawn.log_w)
        self.sampled = found

    def refit(self, u: Float[np.ndarray, "n d"], log_w: Float[np.ndarray, " n"]) -> None:
        """Moves the mixture to where its draws are, until their weights are even."""
        pool, best = Pool.of(self.cover, u, log_w), reweighted(self.cover, u, log_w)
        share = at = effective(log_w) / BLOCK
        for _ in range(REFITS):
            even = share > EVEN and scored(log_w).khat < LIGHT
            if even or not self.budget.allows(self.cost, 2 * BLOCK):
                break
            cover = refitted(best, pool.u, pool.log_w)
            u, log_w = self.block(cover.mixture)
            pool = pool.plus(cover, u, log_w)
            share = effective(log_w) / BLOCK
            if share > WORSE * at:
                best, at = cover, share
        self.cover = best

    def note(self, words: str, log_w: Float[np.ndarray, " n"], terms: Terms = DRAWS) -> Rung:
        """Keeps what a step said."""
        self.rungs.append(Rung(words, *scored(log_w, terms), self.cost))
        return self.rungs[-1]

    @property
    def sure(self) -> bool:
        """Whether the draws are enough alone: a smooth density, and weights that are trusted."""
        share = effective(self.drawn.log_w) / len(self.drawn.log_w)
        return self.arrived and share > EFFICIENT and self.sampled.verdict == WORDS[0]

    def settle(self) -> None:
        """Goes up, rung by rung, as far as it is needed and the budget allows."""
        self.search()
        self.draw()
        before: Rung | None = None
        for number in range(ANNEALINGS):
            if self.sure:
                return
            temperatures = TEMPERATURES * 2**number
            if not self.budget.allows(self.cost, 2 * cost(temperatures)):
                self.doubts.append("the budget was spent before two rungs agreed")
                return
            mixture, found = self.annealing(temperatures, number, from_start=False)
            start, more = self.annealing(temperatures, number, from_start=True)
            first = self.sampled
            if found + more and number < REPAIRS:
                self.draw()
            moved = apart(first, self.sampled) + apart(self.sampled, first)
            above = max(apart(mixture, self.sampled), apart(start, self.sampled))
            if self.sampled.verdict == WORDS[0]:
                if not moved and not above and not apart(self.sampled, mixture):
                    return
            elif before is not None and mixture.verdict == WORDS[0]:
                same = not apart(mixture, before) and not apart(before, mixture)
                if same and not apart(start, mixture) and not apart(self.sampled, mixture):
                    self.best = mixture
                    return
            before = mixture
        self.doubts.append("no two rungs agreed")

    def annealing(self, temperatures: int, number: int, *, from_start: bool) -> tuple[Rung, int]:
        """Anneals, and adds what chains found to the mixture; what it said, and how many."""
        root = numbered(stream(self.key, "ladder.annealed"), 2 * number + from_start)
        chains = annealed(self.units, self.cover, temperatures, root, from_start=from_start)
        self.gradients += cost(temperatures)
        found = self.add(chains.u, self.values(chains.u))
        where = "the start" if from_start else "the mixture"
        words = f"annealing from {where}, {temperatures} temperatures, {CHAINS} chains"
        if not from_start:
            self.chains = chains
        return self.note(words, chains.log_w, TERMS), found

    def block(self, mixture: StudentMixture) -> tuple[np.ndarray, np.ndarray]:
        """Fresh draws of the mixture with their log-weights."""
        keys = item_keys(stream(self.key, "ladder.draws"), jnp.arange(BLOCK) + BLOCK * self.blocks)
        self.blocks += 1
        self.evaluations += BLOCK
        u, log_w = (np.asarray(a, np.float64) for a in _weighed(self.units, mixture, keys))
        undefined = np.isnan(log_w) | (log_w == np.inf)
        if np.any(undefined):
            raise NonFiniteError(
                f"log p(x, z) is NaN or +inf at {np.sum(undefined)} of {BLOCK} draws: where the "
                "density is zero it should be -inf"
            )
        return u, log_w


@filter_jit
def _drawn(law: AbstractConditional, given: Any, keys: Key[Array, " n"]) -> Float[Array, "n d"]:
    def one(key: PRNGKeyArray) -> Float[Array, " d"]:
        return ravel_pytree(law.sample(given, key=key))[0]

    return jax.vmap(one)(keys)


@filter_jit
def _values(units: Units, u: Float[Array, "n d"]) -> Float[Array, " n"]:
    return jax.vmap(units.log_density)(u)


@filter_jit
def _weighed(
    units: Units, mixture: StudentMixture, keys: Key[Array, " n"]
) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
    def one(key: PRNGKeyArray) -> tuple[Float[Array, " d"], Float[Array, ""]]:
        u = mixture.sample(key=key)
        return u, units.log_density(u) - mixture.log_prob(u)

    return jax.vmap(one)(keys)
