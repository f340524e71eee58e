"""tightbound: evidence without settings."""

from typing import Any

import equinox as eqx
import optax

import tightbound as tb
from benchmarks.evidence.contestants import Answer
from benchmarks.evidence.counting import Counter
from benchmarks.evidence.problem import Problem
from tightbound.models.target import Density


def answer(problem: Problem, seed: int) -> Answer:
    found = _evaluated(*problem.model(), seed)
    return Answer(found.mean, found.stderr_draws, None, found.verdict)


def counted(problem: Problem, seed: int) -> tuple[int, int]:
    counter = Counter()
    model, data = problem.model()
    own = model.likelihood
    likelihood = (
        Density(counter.of(own.log_density)) if isinstance(own, Density) else Counting(own, counter)
    )
    _evaluated(eqx.tree_at(lambda m: m.likelihood, model, likelihood), data, seed)
    return counter.evaluations, counter.gradients


def _evaluated(model: tb.Model, data: Any, seed: int) -> Any:
    """What a user calls who sets nothing; the only place that knows how."""
    posterior = tb.posterior(model, "normal", key=seed)
    objective = tb.objectives.elbo()
    settings = {"objective": objective, "optimizer": optax.adam(1e-2), "progress": False}
    if data is None:
        run = tb.fit(model, posterior, steps=1000, batch_size=32, key=seed, **settings)
        return tb.evaluate(model, run.posterior, key=seed, progress=False)
    run = tb.fit(model, posterior, data, epochs=200, key=seed, **settings)
    return tb.evaluate(model, run.posterior, data, key=seed, progress=False)


class Counting(tb.distributions.AbstractExplicit):
    """The likelihood of a model with data, which counts how often it is asked."""

    likelihood: Any
    counter: Counter = eqx.field(static=True)

    @property
    def support(self) -> str:
        """Where values must lie."""
        return self.likelihood.support

    @property
    def offers(self) -> frozenset[str]:
        """What the likelihood offers."""
        return self.likelihood.offers

    def sample(self, given: Any, *, key: Any) -> Any:
        """One draw; it is not counted."""
        return self.likelihood.sample(given, key=key)

    def log_prob(self, value: Any, given: Any) -> Any:
        """Nats, counted."""
        return self.counter.of(lambda z: self.likelihood.log_prob(value, z))(given)

    def mean(self, given: Any) -> Any:
        """The mean, not counted."""
        return self.likelihood.mean(given)
