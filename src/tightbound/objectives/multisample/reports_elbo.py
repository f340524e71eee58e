"""What objectives share that report the ELBO and climb another number."""

from jaxtyping import Array, Float, Key

from tightbound.bounds import ELBO
from tightbound.core.items import Items
from tightbound.gradients import Reparameterized
from tightbound.objectives.contract import AbstractObjective, Params
from tightbound.objectives.multisample.multisample import Multisample


class AbstractReportsELBO(AbstractObjective):
    """An ELBO by name, a lower bound, whose step is the business of each such objective."""

    plain: Multisample

    @property
    def kind(self) -> str:
        """The reported ELBO is a lower bound."""
        return "lower"

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.plain.draws

    @property
    def one_bound(self) -> bool:
        """Model and posterior climb the same number."""
        return True

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs densities and differentiable draws."""
        self.plain.check(params)

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The ELBO per datum in nats."""
        return self.plain.bound(params, state, items, keys)


def plain_elbo(samples: int) -> Multisample:
    """The ELBO of so many draws."""
    return Multisample(f"elbo(samples={samples})", ELBO(), Reparameterized(), samples)
