"""What a bound is: a function of the log-weights of one datum."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractBound(eqx.Module):
    """A function of log w_1, ..., log w_k whose mean stands in a known relation to log p(x)."""

    @property
    def smooth(self) -> bool:
        """The weights a_i are differentiable, so that a doubly reparameterised gradient exists."""
        return True

    @property
    def shares(self) -> bool:
        """The weights a_i are shares: none is negative, and together they are one."""
        return True

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """Direction of the mean against log p(x): "lower", "upper", "consistent" or "none"."""

    @abc.abstractmethod
    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The bound in nats from the log-weights of one datum."""

    @abc.abstractmethod
    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """a_i = d value / d log w_i."""

    @abc.abstractmethod
    def path_weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """b_i = a_i - d a_i / d log w_i, the doubly reparameterised weights of the path.

        The score term of the total derivative is E[a_i d log q(z_i)]; reparameterising it once
        more gives E[(d a_i / d log w_i) (d log w_i / d z_i) (d z_i / d phi)], whatever the bound.
        """

    def signals(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """For each draw the part of the value that depends on it, up to a part that does not."""
        return jnp.broadcast_to(self.value(log_w), log_w.shape)
