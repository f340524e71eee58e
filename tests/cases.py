"""One line for each objective with each of its bounds and gradients: the laws run on all of them.

A new bound, gradient or objective is named here; `test_completeness.py` fails until it is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tightbound.gradients import DoublyReparameterized, SingleSample
from tightbound.objectives import AbstractObjective, elbo, exact, iwae

K = 5


class Case(NamedTuple):
    """An objective, and what is true of it."""

    make: Callable[..., AbstractObjective]
    options: dict[str, Any]
    layers: tuple[int, ...] = (1, 2)
    """Numbers of stochastic layers for which it exists."""
    unbiased: bool = True
    """The gradient's mean is the gradient of the mean bound."""
    exact: bool = True
    """At the exact posterior the bound is log p(x) for each draw."""
    vanishes: bool = False
    """At the exact posterior the posterior's gradient is zero for each draw."""

    @property
    def objective(self) -> AbstractObjective:
        return self.make(**self.options)

    @property
    def at_random(self) -> bool:
        """Draws to differentiate are chosen at random."""
        return isinstance(getattr(self.objective, "gradient", None), SingleSample)


CASES = {
    # No draws and no posterior: its laws stand in tests/finite/.
    "exact": Case(exact, {}, layers=()),
    "elbo-A": Case(elbo, {"samples": K}),
    "elbo-A-stl": Case(elbo, {"samples": K, "gradient": "stl"}, vanishes=True),
    "elbo-A-dreg": Case(elbo, {"samples": K, "gradient": "dreg"}, vanishes=True),
    "elbo-A-single": Case(elbo, {"samples": K, "gradient": "single_sample"}),
    "elbo-B": Case(elbo, {"estimator": "B", "samples": K}, layers=(1,), exact=False),
    "iwae": Case(iwae, {"k": K}),
    "iwae-stl": Case(iwae, {"k": K, "gradient": "stl"}, unbiased=False, vanishes=True),
    "iwae-dreg": Case(iwae, {"k": K, "gradient": "dreg"}, vanishes=True),
    "iwae-single": Case(iwae, {"k": K, "gradient": "single_sample"}),
    "iwae-dreg@4": Case(
        iwae, {"k": K, "gradient": SingleSample(DoublyReparameterized(), draws=4)}, vanishes=True
    ),
}
