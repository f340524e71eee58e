"""Posteriors of variational recurrent networks: prod_t q(z_t|x, z_{<t}), by a memory of their own.

Chung et al. 2015, arXiv 1506.02216, eq. 9 (steps up to t); Fraccaro, Sonderby, Paquet & Winther
2016, arXiv 1605.07571, section 3 (a network that goes backwards over the steps from t on).
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.streams import streams
from tightbound.distributions.memory import Memory
from tightbound.distributions.normal import DiagonalNormal
from tightbound.distributions.structured import AbstractCombiner, networks_of, of_networks
from tightbound.networks import Body, Dense, Features, Recurrent, Standardization


class RecurrentPosterior(AbstractCombiner):
    """q(z_t|x, z_{<t}), normal, of the mean of tanh(W g_{t-1} + b) and the networks' states.

    g_{t-1} remembers the values and states before t. It is a memory of q's own, and not the
    model's h: the two parts then share no numbers, and any objective may move each its own way.
    The networks are those of `Structured`.
    """

    memory: Memory
    networks: tuple[Recurrent, ...]
    before: Dense
    head: DiagonalNormal
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
    ) -> "RecurrentPosterior":
        """For states of `size` numbers, from `seen` numbers of a step and its mask."""
        memory, networks, before, head = streams(
            key, "recurrent_posterior.memory", "recurrent_posterior.networks",
            "recurrent_posterior.before", "recurrent_posterior.head",
        )  # fmt: skip
        return RecurrentPosterior(
            memory=Memory.of(seen, size, hidden, view, memory),
            networks=networks_of(kind, seen, hidden, networks),
            before=Dense.glorot(hidden, hidden, key=before),
            head=DiagonalNormal.of(Body(hidden, ()), size, key=head),
            steps=steps,
        )

    @property
    def start(self) -> Float[Array, " h"]:
        """The memory before the first step."""
        return self.memory.start

    def contexts(self, given: Any) -> tuple[Float[Array, "steps three_h"], Float[Array, "steps h"]]:
        """What the memory is given of each step, and the sum of the networks' states there."""
        seen = self.memory.contexts(given, self.steps)
        return seen, of_networks(self.networks, given, self.memory.view)

    def of_data(self, context: tuple) -> Float[Array, " h"]:
        """The second of the two."""
        return context[1]

    def after(
        self, before: Float[Array, " h"], value: Float[Array, " m"], context: tuple
    ) -> Float[Array, " h"]:
        """The memory behind a step."""
        return self.memory.after(before, value, context[0])

    def befores(self, value: Float[Array, "steps m"], contexts: tuple) -> Float[Array, "steps h"]:
        """The memory before each step of a path."""
        return self.memory.befores(value, contexts[0])
