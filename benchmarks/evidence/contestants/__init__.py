"""Who estimates evidence, by its defaults, and what an answer holds."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from benchmarks.evidence.problem import LogLikelihood, Problem


class Answer(NamedTuple):
    """What a contestant says of a problem, and what it asked."""

    log_z: float
    """In nats; of a model with data, the mean over them."""
    error: float | None
    """The standard error that it claims; None if it claims none."""
    evaluations: int | None
    """Values of the likelihood (or the density), each point of a batch counted; None where a
    second run counts them, and gradients."""
    verdict: str = ""
    """The word on its own estimate, where it has one."""
    gradients: int | None = 0
    """Gradients of the likelihood, where it counts them itself."""


@dataclass(frozen=True)
class Contestant:
    """One file: `module` has `answer(problem, seed)`.

    Where code is compiled, `counted(problem, seed)` gives values and gradients of the likelihood,
    by the same run once more with the callbacks that count: they would cost it time.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    computes: str


OURS = "tightbound"

CONTESTANTS = (
    Contestant(OURS, "ours", ("tightbound", "jax"), "`tb.evaluate` without settings, float32"),
    Contestant(
        "dynesty", "with_dynesty", ("dynesty",), "`NestedSampler(...)`, `run_nested()`: 500 points"
    ),
    Contestant(
        "nautilus",
        "with_nautilus",
        ("nautilus-sampler",),
        "`Sampler(..., vectorized=True)`, `run()`: 2,000 points; the error is 1 / sqrt(n_eff)",
    ),
    Contestant(
        "ultranest",
        "with_ultranest",
        ("ultranest",),
        "`ReactiveNestedSampler(..., vectorized=True)`, `run()`",
    ),
    Contestant(
        "jaxns", "with_jaxns", ("jaxns",), "`NestedSampler(model)`, `run()`; counts are its own"
    ),
    Contestant(
        "blackjax",
        "with_blackjax",
        ("blackjax",),
        "`adaptive_tempered_smc` with HMC of ten steps, masses from the particles, 2,000 "
        "particles, ESS 0.5, ten moves a temperature; claims no error",
    ),
    Contestant(
        "pymc", "with_pymc", ("pymc",), "`sample_smc()`; the error is that of its four chains"
    ),
)


class Counted:
    """A likelihood in NumPy that counts the points it is asked for."""

    def __init__(self, likelihood: LogLikelihood) -> None:
        """Starts at none."""
        self._likelihood = likelihood
        self.evaluations = 0

    def __call__(self, x: Any) -> Any:
        """Nats at one point, or at many."""
        self.evaluations += math.prod(np.shape(x)[:-1])
        return self._likelihood(x, np)


def prior_in(problem: Problem, xp: ModuleType) -> Callable[[Any], Any]:
    """The map from the unit cube."""
    return lambda u: problem.prior.transform(u, xp)


def over_data(problem: Problem, one: Callable[[LogLikelihood], Answer]) -> Answer:
    """The only likelihood, or the mean over those of all data, each asked by itself."""
    answers = [one(likelihood) for likelihood in problem.likelihoods]
    n = len(answers)
    errors = [answer.error for answer in answers if answer.error is not None]
    asked = [answer.evaluations for answer in answers if answer.evaluations is not None]
    return Answer(
        sum(answer.log_z for answer in answers) / n,
        float(np.sqrt(np.sum(np.square(errors)))) / n if len(errors) == n else None,
        sum(asked) if len(asked) == n else None,
    )
