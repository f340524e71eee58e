"""Which values are observed, given all of them: p(s|x) as a product of Bernoullis.

Ipsen, Mattei & Frellsen 2021, arXiv 2006.12871 (self-masking, linear and general processes).
"""

import abc
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.networks import MLP, Dense, Features, Standardization

SIGNS = {"high_missing": 1, "low_missing": -1, "unknown": 0}
"""The sign of the slope w of each column's logit."""


STEEP = 10.0
"""|w| at the start where values are missing beyond an end."""


class View(eqx.Module):
    """What a mask model sees of a row: the numbers that networks see, without their mask."""

    of: Standardization | Features | None
    dim: int = eqx.field(static=True)
    """Columns of x."""

    @property
    def places(self) -> np.ndarray:
        """The column of each number that is seen."""
        return self.of.columns if isinstance(self.of, Features) else np.arange(self.dim)

    @property
    def levelled(self) -> np.ndarray:
        """Of each number that is seen, whether it stands for a level."""
        if not isinstance(self.of, Features):
            return np.zeros(self.dim, bool)
        return np.array(self.of.levels)[self.places] > 0

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, " m"]:
        """What is seen of a row without holes."""
        return x if self.of is None else self.of(x)[: len(self.places)]


class AbstractMask(eqx.Module):
    """p(s|x), in which the s_j are independent given x."""

    @property
    def separate(self) -> bool:
        """Whether s_j depends on x_j alone."""
        return False

    @abc.abstractmethod
    def logits(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """The logit of each column's probability to be observed, at a row without holes."""


class ConstantMask(AbstractMask):
    """Each column is observed at its own rate, whatever the values are."""

    intercept: Float[Array, " d"]
    """Logits of the rates."""

    @property
    def separate(self) -> bool:
        """It does not even depend on that."""
        return True

    def logits(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Those of the rates."""
        del x
        return self.intercept


class SelfMasking(AbstractMask):
    """Whether x_j is observed depends on x_j alone: logit_j = c_j - w_j u_j at standardised u.

    The paper has -w_j (u_j - b_j), which is the same with c_j = w_j b_j where w_j is not 0; with
    c_j a rate can be learned at w_j = 0 as well. Of a column with levels each level has a logit of
    its own.
    """

    view: View
    intercept: Float[Array, " d"]
    """c."""
    free: Float[Array, " m"]
    """w where the sign is not known, and else what `softplus` makes |w| of."""
    signs: tuple[int, ...] = eqx.field(static=True)
    """1 where high values are missing, -1 where low ones are, 0 where it is not known."""

    @staticmethod
    def of(
        view: View, signs: tuple[int, ...], ends: Float[np.ndarray, " d"] | None = None
    ) -> "SelfMasking":
        """At the start w is 0 where its sign is to be found, so that the data decide it.

        With `ends`, beyond which values are missing, |w| is `STEEP` and the logit there 0.
        """
        of_each = tuple(
            0 if level else signs[j] for j, level in zip(view.places, view.levelled, strict=True)
        )
        start = SelfMasking(view, jnp.zeros(view.dim), jnp.zeros(len(of_each)), of_each)
        if ends is None:
            return start
        free = np.where(np.array(of_each, int) == 0, 0.0, math.log(math.expm1(STEEP)))
        steep = eqx.tree_at(lambda mask: mask.free, start, jnp.asarray(free, jnp.float32))
        at_ends = steep.logits(jnp.asarray(ends, jnp.float32))
        return eqx.tree_at(lambda mask: mask.intercept, steep, -at_ends)

    @property
    def separate(self) -> bool:
        """That is what its name says."""
        return True

    @property
    def slopes(self) -> Float[Array, " m"]:
        """w, of every number that is seen."""
        sign = np.array(self.signs, np.float32)
        return jnp.where(sign == 0, self.free, sign * jax.nn.softplus(self.free))

    def logits(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """C - w u."""
        return self.intercept.at[self.view.places].add(-self.slopes * self.view(x))


class NetworkMask(AbstractMask):
    """Whether a value is observed depends on all of them, by a network; A u + b without a layer."""

    view: View
    trunk: Callable[[Float[Array, " m"]], Float[Array, " h"]]
    head: Dense

    @staticmethod
    def of(
        view: View, hidden: tuple[int, ...], activation: str, key: PRNGKeyArray
    ) -> "NetworkMask":
        """Weights by Glorot's rule, biases of zero."""
        trunk_key, head_key = streams(key, "mask.trunk", "mask.head")
        m = len(view.places)
        trunk = MLP.glorot(m, hidden, activation=activation, key=trunk_key)
        return NetworkMask(view, trunk, Dense.glorot((m, *hidden)[-1], view.dim, key=head_key))

    def logits(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Those of the network."""
        return self.head(self.trunk(self.view(x)))


class AtRate(AbstractMask):
    """Another mask, in which one column is observed at a rate."""

    mask: AbstractMask
    column: Int[Array, ""]
    logit: Float[Array, ""]

    @property
    def separate(self) -> bool:
        """As the other mask."""
        return self.mask.separate

    def logits(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        """Those of the other mask, with one in place of the column's."""
        return self.mask.logits(x).at[self.column].set(self.logit)
