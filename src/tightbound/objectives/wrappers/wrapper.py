"""What objectives around another objective share: what they do not say is that one's."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.items import Items
from tightbound.objectives.contract import AbstractObjective, Params, Requires


class Wrapper(AbstractObjective):
    """An objective around another one; a subclass says its `description` and its `step`."""

    objective: eqx.AbstractVar[AbstractObjective]

    @property
    def kind(self) -> str:
        """That of the objective."""
        return self.objective.kind

    @property
    def reports(self) -> str:
        """That of the objective."""
        return self.objective.reports

    @property
    def requires(self) -> Requires:
        """As the objective."""
        return self.objective.requires

    @property
    def draws(self) -> int:
        """Those of the objective."""
        return self.objective.draws

    @property
    def updates(self) -> int:
        """Those of the objective."""
        return self.objective.updates

    @property
    def one_bound(self) -> bool:
        """As the objective."""
        return self.objective.one_bound

    @property
    def labelled(self) -> int:
        """As the objective."""
        return self.objective.labelled

    @property
    def holes(self) -> bool:
        """As the objective."""
        return self.objective.holes

    def at(self, epoch: int) -> "Wrapper":
        """The same around the objective of one epoch."""
        return eqx.tree_at(lambda wrapper: wrapper.objective, self, self.objective.at(epoch))

    def check(self, params: Params) -> None:
        """As the objective."""
        self.objective.check(params)

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Any:
        """What the objective keeps."""
        return self.objective.init(params, n, key)

    def bound(
        self, params: Params, state: Any, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """That of the objective, in nats."""
        return self.objective.bound(params, state, items, keys)

    def warning(self, info: dict[str, float]) -> str | None:
        """As the objective."""
        return self.objective.warning(info)
