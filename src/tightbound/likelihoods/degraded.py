"""What a known degradation makes of data: p(y|z), and the clean x given y and z, in closed form.

With x ~ p(x|z) and y ~ p(y|x) known, p(x|y) = E_{p(z|y)} p(x|y, z): weights for z are by p(y|z),
and what is clean follows from each z by itself.
"""

import abc
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from tightbound.core.items import Datum, One, condition, observed, values
from tightbound.distributions.contracts import AbstractExplicit
from tightbound.distributions.through import AbstractThrough


class AbstractDegraded(AbstractExplicit):
    """p(y|z) of what a degradation makes of x ~ p(x|z), entry by entry; some may be missing."""

    likelihood: eqx.AbstractVar[Any]
    """p(x|z)."""

    @property
    def reparameterized(self) -> bool:
        """Nothing is drawn of y."""
        return False

    @property
    @abc.abstractmethod
    def numbers(self) -> int:
        """How many numbers are at work for one z, at the most."""

    def log_prob(self, value: Float[Array, "*degraded"], given: Any) -> Float[Array, ""]:
        """Log-density (or mass) in nats; entries are independent given z."""
        return jnp.sum(self.log_prob_each(value, given))

    @abc.abstractmethod
    def back(self, value: Float[Array, "*degraded"]) -> Float[Array, "*item"]:
        """An x that looks like y: what proposals q(z|x) see, which any may be."""

    @abc.abstractmethod
    def mean_clean(
        self, value: Float[Array, "*degraded"], observed: Bool[Array, "*degraded"], given: Any
    ) -> Float[Array, "*item"]:
        """E[x | y, z], by the observed entries of y."""

    @abc.abstractmethod
    def sample_clean(
        self,
        value: Float[Array, "*degraded"],
        observed: Bool[Array, "*degraded"],
        given: Any,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*item"]:
        """One draw of p(x | y, z), by the observed entries of y."""


class WithClean(AbstractExplicit):
    """Rows (x, y) of clean values, which are always missing, and degraded ones."""

    degraded: AbstractDegraded
    shape: tuple[int, ...] = eqx.field(static=True)
    """That of x."""
    degraded_shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def offers(self) -> frozenset[str]:
        """The density alone."""
        return frozenset({"density"})

    @property
    def support(self) -> str:
        """Where degraded values must lie."""
        return self.degraded.support

    @property
    def reparameterized(self) -> bool:
        """Nothing is drawn but what is missing."""
        return False

    def log_prob(self, value: Float[Array, " n"], given: Any) -> Float[Array, ""]:
        """Log p(y|z) in nats, whatever stands for x."""
        return self.degraded.log_prob(self.cut(value)[1], given)

    def log_prob_observed(
        self, value: Float[Array, " n"], observed: Bool[Array, " n"], given: Any
    ) -> Float[Array, ""]:
        """Log-density of the observed entries of y in nats."""
        _, y = self.cut(value)
        return self.degraded.log_prob_observed(y, self.cut(observed)[1], given)

    def mean_missing(
        self, value: Float[Array, " n"], observed: Bool[Array, " n"], given: Any
    ) -> Float[Array, " n"]:
        """What is expected of x given y; y stays."""
        _, y = self.cut(value)
        return self._beside(value, self.degraded.mean_clean(y, self.cut(observed)[1], given))

    def sample_missing(
        self, value: Float[Array, " n"], observed: Bool[Array, " n"], given: Any, *, key: Any
    ) -> Float[Array, " n"]:
        """One draw of x given y; y stays."""
        _, y = self.cut(value)
        known = self.cut(observed)[1]
        return self._beside(value, self.degraded.sample_clean(y, known, given, key=key))

    def mean(self, given: Any) -> Float[Array, " n"]:
        """Expected value."""
        x, y = self.degraded.likelihood.mean(given), self.degraded.mean(given)
        return jnp.concatenate([jnp.ravel(x), jnp.ravel(y)])

    def cut(self, row: Any) -> tuple[Any, Any]:
        """X and y of a row, or of several along leading axes."""
        n, before = math.prod(self.shape), row.shape[:-1]
        return (
            row[..., :n].reshape(*before, *self.shape),
            row[..., n:].reshape(*before, *self.degraded_shape),
        )

    def _beside(self, row: Float[Array, " n"], x: Float[Array, "*item"]) -> Float[Array, " n"]:
        return jnp.concatenate([jnp.ravel(x), row[math.prod(self.shape) :]])


class OfDegraded(AbstractThrough):
    """q(z|x) as a proposal for such rows: it is given what looks like y, and weights mend that."""

    conditional: AbstractExplicit
    """q(z|x)."""
    rows: WithClean
    holes: bool = eqx.field(static=True)
    """Whether entries of y may be missing, which the posterior is then told."""

    def _seen(self, given: One) -> One:
        back = self.rows.degraded.back
        x, beside = back(self.rows.cut(values(given))[1]), condition(given)
        if not self.holes:
            return x if beside is None else Datum(x, None, beside)
        _, known = self.rows.cut(observed(given))
        # An x is known where all of y that tells of it is.
        seen = back(jnp.astype(known, x.dtype)) > 0.5
        return Datum(jnp.where(seen, x, 0.0), seen, beside)
