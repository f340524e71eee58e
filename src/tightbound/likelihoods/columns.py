"""A table column by column: one network, and for each column a law of one number.

Given z columns are independent, so that missing values cost nothing: what is known counts.
Nazabal, Olmos, Ghahramani & Valera 2020, arXiv 1807.03653 (HI-VAE: a law for each column's kind).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.items import One
from tightbound.core.streams import first_keys
from tightbound.core.supports import Support, TableSupport
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.likelihoods.univariate import AbstractUnivariate
from tightbound.networks import Features, Head, read


class Columns(AbstractExplicit):
    """p(x|z) = prod_j p(x_j|z), in the data's own units: `head(trunk(z))` has all free numbers.

    The head's numbers are cut law by law, and within a law column by column. A log-density is in
    nats with respect to the product of counting measure (levels, counts) and length in each other
    column's unit.
    """

    trunk: Callable[[Float[Array, " n_in"]], Float[Array, " n_h"]]
    head: Head
    laws: tuple[AbstractUnivariate, ...]
    """Each for the columns in the same entry of `places`."""
    features: Features
    """What networks see of a row."""
    places: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True, default=())
    """The columns' names; empty where they have none."""
    notes: tuple[str, ...] = eqx.field(static=True, default=())
    """What was chosen by a look at the training data."""

    @property
    def support(self) -> Support:
        """Where values must lie: the columns' common support, or that of each."""
        each: list[Any] = [None] * self._dim
        for law, places in zip(self.laws, self.places, strict=True):
            for support, place in zip(law.supports, places, strict=True):
                each[place] = support
        first = each[0]
        alike = not self.names and all(one is first for one in each)
        return first if alike else TableSupport(each, self.names)

    @property
    def reparameterized(self) -> bool:
        """Whether the draws of all columns are differentiable."""
        return not any(one.discrete for law in self.laws for one in law.supports)

    @property
    def centres(self) -> tuple[str, ...]:
        """What `mean` is in each column: "mean", "median", "mode" or "geometric mean"."""
        each = [""] * self._dim
        for law, places in zip(self.laws, self.places, strict=True):
            for place in places:
                each[place] = law.centre_is
        return tuple(each)

    def sample(self, given: One, *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        keys = first_keys(key, len(self.laws))
        cut = self.free(given)
        return self._together(
            [law.sample(k, free) for law, free, k in zip(self.laws, cut, keys, strict=True)]
        )

    def log_prob(self, value: Float[Array, " d"], given: One) -> Float[Array, ""]:
        """Log-density in nats."""
        parts = self._log_probs(value, given)
        return jnp.sum(parts[0] if len(parts) == 1 else jnp.concatenate(parts))

    def log_prob_each(self, value: Float[Array, " d"], given: One) -> Float[Array, " d"]:
        """Log-density of each column in nats."""
        return self._together(self._log_probs(value, given))

    def log_prob_observed(
        self, value: Float[Array, " d"], observed: Bool[Array, " d"], given: One
    ) -> Float[Array, ""]:
        """Log-density of the observed columns in nats."""
        # What is missing counts nothing, but needs a density for gradients to be numbers.
        inside = self._together([law.inside for law in self.laws]).astype(value.dtype)
        each = self.log_prob_each(jnp.where(observed, value, inside), given)
        return jnp.sum(jnp.where(observed, each, jnp.zeros_like(each)))

    def mean(self, given: One) -> Float[Array, " d"]:
        """The expected value of each column; of levels the number of the most probable one.

        `centres` says where it is something else.
        """
        pairs = zip(self.laws, self.free(given), strict=True)
        return self._together([law.mean(free) for law, free in pairs])

    def log_scale(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Log of the unit in which each column's density is computed, in the precision of x."""
        return self._together([law.log_unit for law in self.laws]).astype(x.dtype)

    def push(
        self, noise: Float[Array, " d"], given: One
    ) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """What normal noise becomes, column by column, with its log-weights; levels stay one."""
        values, log_ratios = [], []
        for law, places, free in zip(self.laws, self.places, self.free(given), strict=True):
            inside = law.inside.astype(noise.dtype)
            found = inside, jnp.zeros_like(inside)
            if law.levels is None:
                found = law.push(noise[np.array(places)], free)
            values.append(found[0])
            log_ratios.append(found[1])
        return self._together(values), self._together(log_ratios)

    def normal_each(self, given: One) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        """Mean and standard deviation of each column, all of which must have normal laws."""
        pairs = zip(self.laws, self.free(given), strict=True)
        each = [law.normal_each(free) for law, free in pairs]
        return self._together([m for m, _ in each]), self._together([s for _, s in each])

    def level_probs(self, given: One) -> dict[int, Float[Array, " levels"]]:
        """The probability of each level, by the number of the column that has levels."""
        found = {}
        for law, places, free in zip(self.laws, self.places, self.free(given), strict=True):
            if law.levels is not None:
                found |= dict(zip(places, jnp.exp(law.log_probs(free)), strict=True))
        return found

    def free(self, given: One) -> tuple[Float[Array, "_m _size"], ...]:
        """The free numbers of each law's columns."""
        numbers = self.head(read(self.trunk, given))
        found, start = [], 0
        for law, places in zip(self.laws, self.places, strict=True):
            stop = start + len(places) * law.size
            found.append(numbers[start:stop].reshape(len(places), law.size))
            start = stop
        return tuple(found)

    @property
    def _dim(self) -> int:
        return sum(map(len, self.places))

    def _log_probs(self, value: Float[Array, " d"], given: One) -> list[Float[Array, " _m"]]:
        whole = len(self.laws) == 1
        return [
            law.log_prob(value if whole else value[np.array(places)], free)
            for law, places, free in zip(self.laws, self.places, self.free(given), strict=True)
        ]

    def _together(self, parts: list[Float[Array, " _m"]]) -> Float[Array, " d"]:
        """What the laws have, column by column."""
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate([np.array(places) for places in self.places]))
        return jnp.concatenate(parts)[order]
