"""Gradient estimators by name: each file says in `GRADIENTS` which it has, and is found by that."""

from tightbound.core import names
from tightbound.gradients.abstract import AbstractGradient
from tightbound.gradients.single_sample import SingleSample

GRADIENTS: dict[str, AbstractGradient] = {
    name: place.load().GRADIENTS[name] for name, place in names.gradients().items()
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
    names.check_gradient(gradient)
    name, at, draws = SHORT.get(gradient, gradient).partition("@")
    estimator = GRADIENTS[SHORT.get(name, name)]
    return SingleSample(estimator, int(draws)) if at else estimator
