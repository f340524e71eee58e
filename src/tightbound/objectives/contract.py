"""What an objective is: a gradient for each part, and beside it an honest number in nats."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.items import Items


class Params(NamedTuple):
    """What is fitted; also the shape of gradients and of optimiser states."""

    model: Any
    posterior: Any


class Step(NamedTuple):
    """The outcome of one evaluation of an objective on a minibatch."""

    grads: Params
    """Descent gradients of the negative mean over the minibatch, in nats per datum."""
    bound: Float[Array, " n"]
    """The named quantity itself per datum, in nats: never the surrogate that was differentiated."""
    info: dict[str, Float[Array, ""]] | None = None
    """Further numbers to watch, by name."""


class Requires(NamedTuple):
    """What an objective needs of each slot: words of `AbstractConditional.offers`, or nothing."""

    prior: tuple[str, ...]
    likelihood: tuple[str, ...]
    posterior: tuple[str, ...]
    learns: bool = True
    """There is a principled gradient for the model's own parameters."""

    def words(self) -> str:
        """All of it in a line."""
        slots = [
            f"{slot}: {' and '.join(getattr(self, slot)) or 'nothing'}"
            for slot in ("prior", "likelihood", "posterior")
        ]
        return f"{'; '.join(slots)}; {'learns' if self.learns else 'does not learn'} the model"


EXPLICIT = Requires(("density",), ("density",), ("samples", "density"))


class About(NamedTuple):
    """What is known of an objective before one is made: `ABOUT` beside the function that makes it.

    A file without `ABOUT` makes an objective of the usual needs that takes no argument.
    """

    example: Mapping[str, Any] = {}
    """Arguments for an example, where some are required."""
    requires: Requires | None = EXPLICIT
    """What the example requires; None for what is made of other objectives, and needs theirs."""


class AbstractObjective(eqx.Module):
    """Gradients for the parts of a model and its posterior.

    `init` gives what the objective keeps between steps (nothing, unless it says otherwise), `step`
    the gradients for one minibatch and what is kept after it, `bound` the reported number alone.
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
    def reports(self) -> str:
        """What the reported number is, in words; numbers of different kinds do not compare."""
        return self.description

    @property
    def requires(self) -> Requires:
        """What it needs of prior, likelihood and posterior: all densities unless it says so."""
        return EXPLICIT

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number; one unless it says otherwise."""
        return 1

    @property
    def updates(self) -> int:
        """Updates with each minibatch in a row; one unless it says otherwise."""
        return 1

    @property
    def labelled(self) -> int:
        """How many data with labels each step is given beside its minibatch, drawn anew; none."""
        return 0

    @property
    def holes(self) -> bool:
        """Whether data may have missing values or conditions; no unless it says so.

        It then leaves to model and posterior whatever it does with a datum (`items.data`).
        """
        return False

    @property
    def one_bound(self) -> bool:
        """Whether both parts climb one number, so that they may share some of theirs; no unless so.

        The sum of the two gradients of a shared parameter is then that number's.
        """
        return False

    def at(self, epoch: int) -> "AbstractObjective":
        """The objective of one epoch, counted from 0: itself unless it changes over time."""
        del epoch
        return self

    @abc.abstractmethod
    def check(self, params: Params) -> None:
        """Raises a `UsageError` in words if the objective does not suit the parts."""

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Any:
        """What is kept from step to step beside the parts, for n training data: arrays or None."""
        del params, n, key
        return None

    @abc.abstractmethod
    def step(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Any]:
        """Gradients and the reported number for one minibatch, and what is kept after it."""

    @abc.abstractmethod
    def bound(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The reported number per datum alone, in nats, with what is kept as it is."""

    def warning(self, info: dict[str, float]) -> str | None:
        """What there is to say about an epoch's further numbers, if anything."""
        del info
        return None


def differentiated(
    values: Callable[[Params], tuple[Float[Array, " n"], Float[Array, " n"]]], params: Params
) -> Step:
    """The step of an objective that is differentiated as it stands.

    `values` gives per datum, in nats, what the parts shall climb and what is reported.
    """

    def loss(params: Params) -> tuple[Float[Array, ""], Float[Array, " n"]]:
        climbed, reported = values(params)
        return -jnp.mean(climbed), reported

    (_, bound), grads = eqx.filter_value_and_grad(loss, has_aux=True)(params)
    return Step(grads, bound)


def differentiated_bound(
    objective: AbstractObjective, params: Params, items: Items, keys: Key[Array, " n"]
) -> Step:
    """The step of an objective whose gradient is the total derivative of its own bound.

    One that keeps nothing between steps.
    """

    def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        bound = objective.bound(params, None, items, keys)
        return bound, bound

    return differentiated(values, params)
