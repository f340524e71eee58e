"""The names under which users choose a gradient estimator."""

from tightbound.errors import UsageError
from tightbound.gradients.abstract import AbstractGradient
from tightbound.gradients.doubly_reparameterized import DoublyReparameterized
from tightbound.gradients.reparameterized import Reparameterized
from tightbound.gradients.single_sample import SingleSample
from tightbound.gradients.sticking_the_landing import StickingTheLanding

GRADIENTS = {
    "reparameterized": Reparameterized,
    "sticking_the_landing": StickingTheLanding,
    "doubly_reparameterized": DoublyReparameterized,
    "single_sample": SingleSample,
}
SHORT = {"stl": "sticking_the_landing", "dreg": "doubly_reparameterized"}


def by_name(gradient: str | AbstractGradient) -> AbstractGradient:
    """The estimator of that name, or the estimator itself.

    Raises:
        UsageError: The name is not known.
    """
    if isinstance(gradient, AbstractGradient):
        return gradient
    name = SHORT.get(gradient, gradient)
    if name not in GRADIENTS:
        raise UsageError(
            f"expected a gradient out of {', '.join([*GRADIENTS, *SHORT])}, got {gradient!r}"
        )
    return GRADIENTS[name]()
