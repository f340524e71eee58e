"""Objectives one after another in one run: optimiser, data order and checkpoints go on.

Formula: that of the stage
Direction: that which all stages share, else none.
Reference: Burda et al. 2015, arXiv 1509.00519, section 5.2 and table 2 (from VAE to IWAE and back).
Bias: that of the objective whose turn it is; the reported number changes its meaning with it.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.items import Items
from tightbound.core.streams import first_keys
from tightbound.objectives.contract import About, AbstractObjective, Params, Requires, Step


class Schedule(AbstractObjective):
    """Stages of objectives, each with its number of epochs; the last goes on if more are run.

    What is kept between steps is kept for every stage, and moves while its turn lasts.
    """

    stages: tuple[AbstractObjective, ...]
    epochs: tuple[int, ...] = eqx.field(static=True)
    turn: int = eqx.field(static=True)
    """The stage whose steps are taken and whose bound is reported."""

    @property
    def kind(self) -> str:
        """The direction that all stages share, else "none"."""
        kinds = {stage.kind for stage in self.stages}
        return kinds.pop() if len(kinds) == 1 else "none"

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.stages[self.turn].draws

    @property
    def updates(self) -> int:
        """As many as each stage makes with a minibatch."""
        return self.stages[0].updates

    @property
    def requires(self) -> Requires:
        """What the stages need, all of them together."""
        needs = [stage.requires for stage in self.stages]
        slots = [
            tuple(dict.fromkeys(word for need in needs for word in getattr(need, slot)))
            for slot in ("prior", "likelihood", "posterior")
        ]
        return Requires(*slots, learns=any(n.learns for n in needs))

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        both = zip(self.stages, self.epochs, strict=True)
        return f"schedule([{', '.join(f'({stage.description}, {n})' for stage, n in both)}])"

    @property
    def reports(self) -> str:
        """That of the stage whose turn it is."""
        return self.stages[self.turn].reports

    @property
    def one_bound(self) -> bool:
        """Whether that is so in all stages."""
        return all(stage.one_bound for stage in self.stages)

    @property
    def labelled(self) -> int:
        """As many as the stage whose turn it is."""
        return self.stages[self.turn].labelled

    @property
    def holes(self) -> bool:
        """Whether all stages take data with missing values."""
        return all(stage.holes for stage in self.stages)

    def at(self, epoch: int) -> "Schedule":
        """The same at one epoch, counted from 0: whose turn it is, and that stage at its epoch."""
        turn = 0
        while turn < len(self.stages) - 1 and epoch >= self.epochs[turn]:
            epoch, turn = epoch - self.epochs[turn], turn + 1
        stages = list(self.stages)
        stages[turn] = stages[turn].at(epoch)
        return Schedule(tuple(stages), self.epochs, turn)

    def check(self, params: Params) -> None:
        """Raises a `UsageError` if a stage does not suit the parts."""
        for stage in self.stages:
            stage.check(params)

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> tuple[Any, ...]:
        """What each stage keeps."""
        keys = first_keys(key, len(self.stages))
        return tuple(stage.init(params, n, k) for stage, k in zip(self.stages, keys, strict=True))

    def step(
        self, params: Params, state: tuple[Any, ...], items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, tuple[Any, ...]]:
        """That of the stage whose turn it is; the others keep what they have."""
        step, kept = self.stages[self.turn].step(params, state[self.turn], items, keys)
        return step, (*state[: self.turn], kept, *state[self.turn + 1 :])

    def bound(
        self, params: Params, state: tuple[Any, ...], items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """That of the stage whose turn it is, in nats."""
        return self.stages[self.turn].bound(params, state[self.turn], items, keys)

    def warning(self, info: dict[str, float]) -> str | None:
        """As the stage whose turn it is."""
        return self.stages[self.turn].warning(info)


ABOUT = About(requires=None)


def schedule(stages: Sequence[Any]) -> Schedule:
    """Objectives one after another: `schedule([(elbo(), 30), (iwae(50), 30)])`; nats.

    Early stopping starts anew with each stage, since bounds of different kinds do not compare.
    Chains and networks of a stage start at the beginning of the run and wait for its turn.

    Args:
        stages: Pairs of an objective and its number of epochs, in order. `fit(epochs=...)` counts
            all of them together, and the last stage goes on if it asks for more.

    Raises:
        UsageError: No stages, something else than pairs, fewer than one epoch, or stages that
            make different numbers of updates with a minibatch (mcem beside others).
    """
    if not stages:
        raise UsageError("expected pairs of an objective and its epochs, got none")
    for stage in stages:
        pair = isinstance(stage, tuple | list) and len(stage) == 2
        if not (pair and isinstance(stage[0], AbstractObjective) and isinstance(stage[1], int)):
            raise UsageError(f"expected pairs of an objective and its epochs, got {stage!r}")
        if stage[1] < 1:
            raise UsageError(f"expected epochs >= 1, got {stage[1]} for {stage[0].description}")
    objectives, epochs = zip(*stages, strict=True)
    updates = {objective.updates for objective in objectives}
    if len(updates) > 1:
        raise UsageError(
            "expected stages that make equally many updates with a minibatch, got "
            f"{' and '.join(map(str, sorted(updates)))}: fit in two runs, the second from the "
            "parts of the first"
        )
    return Schedule(tuple(objectives), tuple(epochs), 0)
