"""What an objective is: a gradient for each part, and beside it an honest number in nats."""

import abc
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, Key


class Parts(NamedTuple):
    """What is fitted; also the shape of gradients and of optimiser states."""

    model: Any
    posterior: Any


class Step(NamedTuple):
    """The outcome of one evaluation of an objective on a minibatch."""

    grads: Parts
    """Descent gradients of the negative mean over the minibatch, in nats per datum."""
    bound: Float[Array, " n"]
    """The named quantity itself per datum, in nats: never the surrogate that was differentiated."""


class AbstractObjective(eqx.Module):
    """Gradients for the parts of a model and its posterior.

    Keys come one per datum, so that a datum's draws do not depend on its neighbours.
    """

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """The number against log p(x): "lower", "upper", "consistent", "exact" or "none"."""

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """The call that makes this objective, as a user would write it."""

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number; one unless it says otherwise."""
        return 1

    def at(self, epoch: int) -> "AbstractObjective":
        """The objective of one epoch, counted from 0: itself unless it changes over time."""
        del epoch
        return self

    @abc.abstractmethod
    def check(self, parts: Parts) -> None:
        """Raises a `UsageError` in words if the objective does not suit the parts."""

    @abc.abstractmethod
    def step(self, parts: Parts, x: Float[Array, "n d"], keys: Key[Array, " n"]) -> Step:
        """Gradients and the reported bound for one minibatch."""

    @abc.abstractmethod
    def bound(
        self, parts: Parts, x: Float[Array, "n d"], keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The reported number per datum alone, in nats: forward passes only."""
