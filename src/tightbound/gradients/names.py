"""The names under which users choose a gradient estimator."""

from tightbound.core.names import check_gradient
from tightbound.gradients.abstract import AbstractGradient
from tightbound.gradients.doubly_reparameterized import DoublyReparameterized
from tightbound.gradients.reparameterized import Reparameterized
from tightbound.gradients.score_function import ScoreFunction
from tightbound.gradients.single_sample import SingleSample
from tightbound.gradients.sticking_the_landing import StickingTheLanding
from tightbound.gradients.vimco import VIMCO
from tightbound.gradients.wake import Wake

GRADIENTS = {
    gradient.name: gradient
    for gradient in (
        Reparameterized(),
        StickingTheLanding(),
        DoublyReparameterized(),
        ScoreFunction(),
        ScoreFunction(control=True),
        VIMCO(),
        Wake(),
        Wake(reparameterized=True),
    )
}
SHORT = {
    "stl": "sticking_the_landing",
    "dreg": "doubly_reparameterized",
    "single_sample": "reparameterized@1",
}


def by_name(gradient: str | AbstractGradient) -> AbstractGradient:
    """The estimator of that name, or the estimator itself.

    `NAME@R` back-propagates R of the k draws, chosen by their weights: "dreg@8", for example.
    "single_sample" is "reparameterized@1".

    Raises:
        UsageError: The name is not known.
    """
    if isinstance(gradient, AbstractGradient):
        return gradient
    check_gradient(gradient)
    name, at, draws = SHORT.get(gradient, gradient).partition("@")
    estimator = GRADIENTS[SHORT.get(name, name)]
    return SingleSample(estimator, int(draws)) if at else estimator
