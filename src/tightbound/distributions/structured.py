"""Structured posteriors of sequences: q(z_1|x) prod_t q(z_t|z_{t-1}, x), by recurrent networks.

Krishnan, Shalit & Sontag 2017, arXiv 1609.09869, section "Structured inference networks" (ST-L,
ST-R, which they call DKS, and ST-LR with their combiner functions). The exact posterior of a
state-space model has the form of ST-R: given z_{t-1} what was before tells nothing more.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.items import Datum, observed, values
from tightbound.core.streams import streams
from tightbound.distributions.normal import DiagonalNormal
from tightbound.distributions.steps import AbstractSteps, live
from tightbound.networks import Body, Dense, Features, Recurrent, Standardization

DIRECTIONS = {"st_l": (False,), "st_r": (True,), "st_lr": (False, True)}
"""Which recurrent networks each kind has: whether they go backwards."""


class AbstractCombiner(AbstractSteps):
    """Normal steps of the mean of tanh(W b + c), b being what was before, and networks' states."""

    networks: eqx.AbstractVar[tuple[Recurrent, ...]]
    before: eqx.AbstractVar[Dense]
    head: eqx.AbstractVar[DiagonalNormal]

    @abc.abstractmethod
    def of_data(self, context: Any) -> Float[Array, " h"]:
        """The sum of the networks' states, of a step's context."""

    def sample_step(
        self, before: Float[Array, " b"], context: Any, *, key: PRNGKeyArray
    ) -> tuple[Float[Array, " m"], Float[Array, ""]]:
        """One reparameterised draw of a step and its log-density in nats."""
        return self.head.sample_and_log_prob(self._combined(before, context), key=key)

    def log_prob_step(
        self, value: Float[Array, " m"], before: Float[Array, " b"], context: Any
    ) -> Float[Array, ""]:
        """Log-density of a step in nats."""
        return self.head.log_prob(value, self._combined(before, context))

    def mean_step(self, before: Float[Array, " b"], context: Any) -> Float[Array, " m"]:
        """Mean of a step."""
        return self.head.mean(self._combined(before, context))

    def _combined(self, before: Float[Array, " b"], context: Any) -> Float[Array, " h"]:
        states = jnp.tanh(self.before(before)) + self.of_data(context)
        return states / (1 + len(self.networks))


class Structured(AbstractCombiner):
    """q(z_t|z_{t-1}, x), normal, of the mean of tanh(W z_{t-1} + b) and the networks' states.

    Networks see a step's values by `view`, 0 where they are missing, and behind them the mask. They
    start at the end of a sequence, however far it is padded. What stands for z_0 is learned.
    """

    networks: tuple[Recurrent, ...]
    """Over the steps up to one ("st_l"), from it on ("st_r"), or both."""
    before: Dense
    head: DiagonalNormal
    first: Float[Array, " m"]
    view: Standardization | Features | None
    """What networks see of a step; None for its values."""
    steps: int = eqx.field(static=True)

    @staticmethod
    def of(
        kind: str,
        steps: int,
        seen: int,
        size: int,
        hidden: int,
        view: Standardization | Features | None,
        key: PRNGKeyArray,
    ) -> "Structured":
        """For states of `size` numbers, from `seen` numbers of a step and its mask."""
        before, head = streams(key, "structured.before", "structured.head")
        return Structured(
            networks=networks_of(kind, seen, hidden, key),
            before=Dense.glorot(size, hidden, key=before),
            head=DiagonalNormal.of(Body(hidden, ()), size, key=head),
            first=jnp.zeros(size),
            view=view,
            steps=steps,
        )

    @property
    def start(self) -> Float[Array, " m"]:
        """What stands for z_0."""
        return self.first

    def contexts(self, given: Any) -> Float[Array, "steps h"]:
        """The sum of the networks' states at each step."""
        return of_networks(self.networks, given, self.view)

    def of_data(self, context: Any) -> Float[Array, " h"]:
        """The context itself."""
        return context


def networks_of(kind: str, seen: int, hidden: int, key: PRNGKeyArray) -> tuple[Recurrent, ...]:
    """The recurrent networks of a kind of posterior, for `seen` numbers of a step and its mask."""
    of_each = streams(key, "structured.left", "structured.right")
    return tuple(
        Recurrent.glorot(seen, hidden, backwards=backwards, key=of_each[backwards])
        for backwards in DIRECTIONS[kind]
    )


def of_networks(
    networks: tuple[Recurrent, ...], given: Any, view: Standardization | Features | None
) -> Float[Array, "steps h"]:
    """The sum of the networks' states at each step of a datum."""
    x, alive = seen_steps(given, view), live(given)
    states = [network(x, alive) for network in networks]
    return sum(states[1:], start=states[0])


def seen_steps(given: Any, view: Standardization | Features | None) -> Float[Array, "steps s"]:
    """What networks see of the steps of a datum: values, 0 where missing, and behind them the mask.

    `Features` have a mask of their own where their training data have missing values.
    """
    x = given if view is None else view(Datum(values(given), observed(given)))
    x = values(x)
    if isinstance(view, Features) and view.masked:
        return x
    return jnp.concatenate([x, observed(given).astype(x.dtype)], axis=1)
