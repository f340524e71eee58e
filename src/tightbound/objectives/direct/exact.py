"""The log-evidence itself, by summing over all values of a finite latent variable.

Formula: log sum_z p(x, z)
Direction: exact.
Reference: Dempster, Laird & Rubin 1977, JRSS B 39(1), section 4.3; the gradient is that of
log sum_s p(x, z_s), which by Fisher's identity is sum_s p(z_s|x) times that of log p(x, z_s).
Bias: none: log p(x) exactly, up to rounding, for at most 65,536 latent values.
"""

from jaxtyping import Array, Float, Key

from tightbound.core.items import Items
from tightbound.models.finite import check_finite, log_evidence
from tightbound.objectives.contract import (
    About,
    AbstractObjective,
    Params,
    Requires,
    Step,
    differentiated_bound,
)

NEEDS = Requires(("density",), ("density",), ())


class Exact(AbstractObjective):
    """log p(x) of a model with finitely many latent values; a posterior is ignored."""

    @property
    def kind(self) -> str:
        """The value itself: no bound and no estimate."""
        return "exact"

    @property
    def requires(self) -> Requires:
        """Masses of the finitely many values of z, and no posterior."""
        return NEEDS

    @property
    def draws(self) -> int:
        """None: every value of z is counted."""
        return 0

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return "exact()"

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs a prior whose values can be enumerated."""
        check_finite(params.model)

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """Log p(x) per datum in nats; nothing is drawn, and the keys are left alone."""
        del keys
        return log_evidence(params.model, items.data)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean (zero for a posterior), and log p(x) per datum in nats."""
        return differentiated_bound(self, params, items, keys), None


ABOUT = About(requires=NEEDS)


def exact() -> Exact:
    """The log-evidence log p(x) itself in nats, for finitely many latent values.

    The model is trained alone: `tb.fit(model, None, x, objective=exact())`. A posterior that is
    given nevertheless is ignored, and comes back as it was.
    """
    return Exact()
