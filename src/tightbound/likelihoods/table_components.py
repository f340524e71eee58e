"""Components of a mixture of table rows: numbers that are jointly normal, and tables of levels.

Given its component a row has numbers u ~ N(mu_k, S_k), in which a column of positive or bounded
numbers is warped first, and independent levels with probabilities of their own. What is missing
given what is known is exact: the block of numbers by regression, levels by their tables.

Reference: Little & Schluchter 1985, Biometrika 72(3) (normal numbers and levels with holes); Hunt &
Jorgensen 2003, Comput. Statist. Data Anal. 41 (mixtures of these).
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.streams import numbered, streams
from tightbound.core.supports import COUNT, REAL, Support, TableSupport, levels
from tightbound.data.schema import Column
from tightbound.distributions import AbstractExplicit, GaussianComponents, select
from tightbound.likelihoods.warps import Warps

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(21)


class TableComponents(AbstractExplicit):
    """p(x|z) for the one-hot z that selects component k; densities are in the data's units.

    Whole numbers among the numbers (`counts`) have the normal density at whole numbers as their
    masses. Where the variance is 1/2 or more, as the fit sees to, these add up to 1 within 2e-4.
    """

    numbers: GaussianComponents
    """Of warped numbers u."""
    logits: tuple[Float[Array, "k _levels"], ...]
    """Of each column of levels."""
    warps: Warps
    """From numbers x to u."""
    counts: tuple[bool, ...] = eqx.field(static=True)
    """Which numbers are whole."""
    places: tuple[tuple[int, ...], tuple[int, ...]] = eqx.field(static=True)
    """The columns that are numbers, and those that are levels."""
    names: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def support(self) -> Support:
        """Where the values of each column lie."""
        each: list[Any] = [None] * sum(map(len, self.places))
        for place, support, whole in zip(
            self.places[0], self.warps.supports, self.counts, strict=True
        ):
            each[place] = COUNT if whole else support
        for place, logits in zip(self.places[1], self.logits, strict=True):
            each[place] = levels(logits.shape[1])
        alike = not self.names and all(one is REAL for one in each)
        return REAL if alike else TableSupport(each, self.names)

    @property
    def reparameterized(self) -> bool:
        """Draws of levels and whole numbers are discrete."""
        return not self.logits and not any(self.counts)

    def sample(self, given: Float[Array, " k"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        of_numbers, of_levels = streams(key, "table_components.numbers", "table_components.levels")
        u = self.numbers.sample(given, key=of_numbers)
        return self._row(u, given, of_levels)

    def log_prob(self, value: Float[Array, " d"], given: Float[Array, " k"]) -> Float[Array, ""]:
        """Log-density in nats."""
        return self.log_prob_observed(value, jnp.ones(value.shape, bool), given)

    def log_prob_observed(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: Float[Array, " k"]
    ) -> Float[Array, ""]:
        """Log-density of the observed columns in nats."""
        u, log_slope, known = self._inside(value, observed)
        total = self.numbers.log_prob_observed(u, known, given)
        total += jnp.sum(jnp.where(known, log_slope, 0.0))
        for place, logits in zip(self.places[1], self.logits, strict=True):
            log_mass = jax.nn.log_softmax(select(given, logits))
            number = jnp.where(observed[place], value[place], 0).astype(int)
            total += jnp.where(observed[place], log_mass[number], 0.0)
        return total

    def sample_missing(
        self,
        value: Float[Array, " d"],
        observed: Bool[Array, " d"],
        given: Float[Array, " k"],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, " d"]:
        """One draw of the other columns given the observed ones."""
        of_numbers, of_levels = streams(
            key, "table_components.missing_numbers", "table_components.missing_levels"
        )
        u, _, known = self._inside(value, observed)
        drawn = self.numbers.sample_missing(u, known, given, key=of_numbers)
        return jnp.where(observed, value, self._row(drawn, given, of_levels))

    def mean_missing(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: Float[Array, " k"]
    ) -> Float[Array, " d"]:
        """What is expected of the other columns given the observed ones; levels by number.

        Of warped numbers it is a sum over 21 points of Gauss and Hermite.
        """
        u, _, known = self._inside(value, observed)
        mean, variance = self.numbers.moments_missing(u, known, given)
        deviation = jnp.sqrt(jnp.maximum(variance, 0.0))
        nodes = jnp.asarray(_NODES, u.dtype)[:, None]
        weights = jnp.asarray(_WEIGHTS / _WEIGHTS.sum(), u.dtype)[:, None]
        points = jax.vmap(self.warps.inverse)(mean[None] + nodes * deviation[None])
        filled = self._together(jnp.sum(weights * points, axis=0), self._modes(given))
        return jnp.where(observed, value, filled)

    def mean(self, given: Float[Array, " k"]) -> Float[Array, " d"]:
        """What is expected of each column; of levels the number of the most probable one."""
        dim = sum(map(len, self.places))
        nothing = jnp.zeros(dim, self.numbers.means.dtype)
        return self.mean_missing(nothing, jnp.zeros(dim, bool), given)

    def level_probs(self, given: Float[Array, " k"]) -> dict[int, Float[Array, " _levels"]]:
        """The probability of each level, by the number of the column that has levels."""
        return {
            place: jax.nn.softmax(select(given, logits))
            for place, logits in zip(self.places[1], self.logits, strict=True)
        }

    def _inside(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"]
    ) -> tuple[Float[Array, " m"], Float[Array, " m"], Bool[Array, " m"]]:
        """Numbers as the normal block has them, log |du/dx|, and which are known."""
        place = np.array(self.places[0], int)
        known = observed[place]
        u, log_slope = self.warps(jnp.where(known, value[place], self.warps.centre(value.dtype)))
        return jnp.where(known, u, 0.0), log_slope, known

    def _row(
        self, u: Float[Array, " m"], given: Float[Array, " k"], key: PRNGKeyArray
    ) -> Float[Array, " d"]:
        """A row of drawn numbers, of which some are whole, and draws of the levels."""
        x, whole = self.warps.inverse(u), np.array(self.counts, bool)
        drawn = []
        for number, logits in enumerate(self.logits):
            level = jax.random.categorical(numbered(key, number), select(given, logits))
            drawn.append(level.astype(logits.dtype))
        return self._together(jnp.where(whole, jnp.maximum(jnp.round(x), 0.0), x), drawn)

    def _modes(self, given: Float[Array, " k"]) -> list[Float[Array, ""]]:
        return [jnp.argmax(select(given, of)).astype(of.dtype) for of in self.logits]

    def _together(
        self, numbers: Float[Array, " m"], of_levels: Sequence[Float[Array, ""]]
    ) -> Float[Array, " d"]:
        order = np.argsort(np.array([*self.places[0], *self.places[1]], int))
        return jnp.concatenate([numbers, jnp.stack(of_levels)] if of_levels else [numbers])[order]


def parted(columns: Sequence[Column | None]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The places of numbers, and those of levels; a column without schema is a number."""
    places = enumerate(columns)
    levels = tuple(j for j, column in places if column is not None and column.levelled)
    return tuple(j for j in range(len(columns)) if j not in levels), levels
