"""What a gradient estimator is: a weight per draw for each way in which parameters enter."""

import abc
from typing import NamedTuple

import equinox as eqx
import jax
from jaxtyping import Array, Float

from tightbound.bounds import AbstractBound


class Coefficients(NamedTuple):
    """Weights of the three terms of the derivative of log w_i, for one datum and k draws.

    d log w_i = d_theta log p(x, z_i)                                  (model)
              + (d log w_i / d z_i) (d z_i / d phi)                    (path)
              - d_phi log q_phi(z_i | x), at z_i held fixed            (score)

    For several stochastic layers z_i is all of them together and q their joint density, so that
    the path runs through every layer, the conditioning of q(h_2|h_1) on h_1 included.
    """

    model: Float[Array, " k"]
    path: Float[Array, " k"] | None
    """Weight of the path term; `None` where no gradient flows through the draws."""
    score: Float[Array, " k"] | None
    """Weight of d_phi log q (its sign included); `None` leaves the term out."""


class AbstractGradient(eqx.Module):
    """Turns a bound and its log-weights into coefficients."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """Its name in `iwae(gradient=...)`."""

    @property
    def through_draws(self) -> bool:
        """Needs draws that are differentiable in the parameters of q."""
        return True

    @property
    def total(self) -> bool:
        """Follows the total derivative as it stands, and takes no mean of d log q to be zero."""
        return False

    def check(self, bound: AbstractBound, k: int) -> None:
        """Raises a `UsageError` in words if the estimator does not exist for bound and k draws."""
        del bound, k

    @abc.abstractmethod
    def coefficients(self, bound: AbstractBound, log_w: Float[Array, " k"]) -> Coefficients:
        """The weights of one datum's draws; constants, never differentiated."""

    def of_batch(self, bound: AbstractBound, log_w: Float[Array, "n k"]) -> Coefficients:
        """The weights of n data; each by itself unless the estimator looks at the others."""
        return jax.vmap(lambda row: self.coefficients(bound, row))(log_w)
