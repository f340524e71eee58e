"""What a bound is: a function of the log-weights of one datum."""

import abc

import equinox as eqx
from jaxtyping import Array, Float


class AbstractBound(eqx.Module):
    """A function of log w_1, ..., log w_k whose mean stands in a known relation to log p(x)."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """Direction of the mean against log p(x): "lower", "upper" or "consistent"."""

    @abc.abstractmethod
    def value(self, log_w: Float[Array, " k"]) -> Float[Array, ""]:
        """The bound in nats from the log-weights of one datum."""

    @abc.abstractmethod
    def weights(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """a_i = d value / d log w_i."""

    @abc.abstractmethod
    def path_ratio(self, log_w: Float[Array, " k"]) -> Float[Array, " k"]:
        """1 - (d a_i / d log w_i) / a_i, the doubly reparameterised path weight over a_i.

        The score term of the total derivative is E[a_i d log q(z_i)]; reparameterising it once
        more gives E[(d a_i / d log w_i) (d log w_i / d z_i) (d z_i / d phi)], whatever the bound.
        """
