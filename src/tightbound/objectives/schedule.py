"""Objectives one after another in one run: optimiser, data order and checkpoints go on.

Formula: that of the stage
Direction: that which all stages share, else none.
Reference: Burda et al. 2015, arXiv 1509.00519, section 5.2 and table 2 (from VAE to IWAE and back).
Bias: that of the objective whose turn it is; the reported number changes its meaning with it.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key

from tightbound.errors import UsageError
from tightbound.objectives.abstract import AbstractObjective, Parts, Step


class Schedule(AbstractObjective):
    """Stages of objectives, each with its number of epochs; the last goes on if more are run."""

    stages: tuple[AbstractObjective, ...]
    epochs: tuple[int, ...] = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """The direction that all stages share, else "none"."""
        kinds = {stage.kind for stage in self.stages}
        return kinds.pop() if len(kinds) == 1 else "none"

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.stages[-1].draws

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        both = zip(self.stages, self.epochs, strict=True)
        return f"schedule([{', '.join(f'({stage.description}, {n})' for stage, n in both)}])"

    def at(self, epoch: int) -> AbstractObjective:
        """The objective of one epoch, counted from 0."""
        for stage, n in zip(self.stages[:-1], self.epochs[:-1], strict=True):
            if epoch < n:
                return stage.at(epoch)
            epoch -= n
        return self.stages[-1].at(epoch)

    def check(self, parts: Parts) -> None:
        """Raises a `UsageError` if a stage does not suit the parts."""
        for stage in self.stages:
            stage.check(parts)

    def step(self, parts: Parts, x: Float[Array, "n d"], keys: Key[Array, " n"]) -> Step:
        """That of the first stage; `fit` asks `at(epoch)` for the others."""
        return self.stages[0].step(parts, x, keys)

    def bound(
        self, parts: Parts, x: Float[Array, "n d"], keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """That of the last stage, in nats: what the run is for."""
        return self.stages[-1].bound(parts, x, keys)


def schedule(stages: Sequence[Any]) -> Schedule:
    """Objectives one after another: `schedule([(elbo(), 30), (iwae(50), 30)])`; nats.

    Early stopping starts anew with each stage, since bounds of different kinds do not compare.

    Args:
        stages: Pairs of an objective and its number of epochs, in order. `fit(epochs=...)` counts
            all of them together, and the last stage goes on if it asks for more.

    Raises:
        UsageError: No stages, something else than pairs, fewer than one epoch, or an objective
            that keeps something from step to step (mcem).
    """
    if not stages:
        raise UsageError("expected pairs of an objective and its epochs, got none")
    for stage in stages:
        pair = isinstance(stage, tuple | list) and len(stage) == 2
        if not (pair and isinstance(stage[0], AbstractObjective) and isinstance(stage[1], int)):
            raise UsageError(f"expected pairs of an objective and its epochs, got {stage!r}")
        if stage[0].remembers:
            raise UsageError(
                f"{stage[0].description} keeps something from step to step, and a schedule does "
                "not: fit in two runs, the second from the parts of the first"
            )
        if stage[1] < 1:
            raise UsageError(f"expected epochs >= 1, got {stage[1]} for {stage[0].description}")
    objectives, epochs = zip(*stages, strict=True)
    return Schedule(tuple(objectives), tuple(epochs))
