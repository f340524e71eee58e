"""How often does the verdict err? Sets of data whose evidence is known, and proposals that miss.

z ~ N(0, I_d), x ~ N(z, I_d): the posterior is N(x / 2, I_d / 2), and log p(x) is known. q has
`factor` times its standard deviation and is `shift` of them off, in every dimension. Each verdict
is on a set of 64 data. It errs where it says "trust" although the estimates are low by more than
0.1 nats on average, or where a datum that is trusted by itself is low by much more than that.

python examples/verdict_errors.py
"""

import argparse
import itertools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import tightbound as tb
from tightbound.distributions import AbstractExplicit, StandardNormal
from tightbound.evidence.verdict import WORDS

SIZE = 64
"""Data to a verdict."""
FACTORS = (0.3, 0.4, 0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
SHIFTS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
BANDS = (0.0, 0.02, 0.05, 0.1, 0.2, 1.0, math.inf)
"""Edges of the classes of true bias in nats."""
EACH = 0.5
"""A datum trusted by itself and off by more than this counts as an error."""


class Around(AbstractExplicit):
    """N(scale * given + shift * deviation, deviation^2 I)."""

    scale: Float[Array, ""]
    shift: Float[Array, ""]
    deviation: Float[Array, ""]

    @property
    def support(self) -> str:
        """All real numbers."""
        return "real"

    def mean(self, given: Float[Array, " d"]) -> Float[Array, " d"]:
        """The mean."""
        return self.scale * given + self.shift * self.deviation

    def sample(self, given: Float[Array, " d"], *, key: PRNGKeyArray) -> Float[Array, " d"]:
        """One draw."""
        return self.mean(given) + self.deviation * jax.random.normal(key, given.shape)

    def log_prob(self, value: Float[Array, " d"], given: Float[Array, " d"]) -> Float[Array, ""]:
        """Log-density in nats."""
        return jnp.sum(jax.scipy.stats.norm.logpdf(value, self.mean(given), self.deviation))


def around(scale: float, shift: float, deviation: float) -> Around:
    """The same from numbers."""
    return Around(*(jnp.asarray(number, jnp.float32) for number in (scale, shift, deviation)))


def main(arguments: list[str] | None = None) -> None:
    """Judges many sets and prints how the words go with the true bias."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dims", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--draws", type=int, nargs="+", default=[1000, 5000], help="k")
    parser.add_argument("--repeats", type=int, default=2, help="sets of each kind")
    options = parser.parse_args(arguments)
    began = time.perf_counter()
    biases: dict[str, list[float]] = {word: [] for word in WORDS}
    alone: dict[str, list[float]] = {word: [] for word in WORDS}
    """By the set's verdict, how low those of its data are that are trusted by themselves."""
    for d in options.dims:
        model = tb.Model(StandardNormal(d), around(1.0, 0.0, 1.0))
        kinds = itertools.product(FACTORS, SHIFTS, options.draws, range(options.repeats))
        for number, (factor, shift, k, _) in enumerate(kinds):
            x = math.sqrt(2) * np.random.default_rng([d, number]).standard_normal((SIZE, d))
            exact = -0.25 * np.sum(x**2, axis=1) - 0.5 * d * math.log(4 * math.pi)
            q = around(0.5, shift, factor * math.sqrt(0.5))
            ev = tb.evaluate(model, q, x.astype(np.float32), k=k, key=number, progress=False)
            low = exact - ev.log_evidence
            biases[ev.verdict].append(float(np.mean(low)))
            alone[ev.verdict] += low[np.array(ev.verdicts) == "trust"].tolist()

    print("| true mean bias, nats |" + "".join(f" {word} |" for word in WORDS))
    print("|---|---|---|---|")
    for above, below in itertools.pairwise(BANDS):
        counts = [sum(above <= max(bias, 0.0) < below for bias in biases[word]) for word in WORDS]
        name = f"{above:g} to {below:g}" if below < math.inf else f"{above:g} or more"
        print(f"| {name} | {' | '.join(map(str, counts))} |")
    trusted = np.array(biases["trust"])
    print(f"\n{sum(map(len, biases.values()))} sets, {time.perf_counter() - began:.0f} s")
    print(f"trusted sets: {len(trusted)}, largest bias {trusted.max():.3f} nats")
    print(f"\n| verdict on the set | data trusted by themselves | low by over {EACH} nats | most |")
    print("|---|---|---|---|")
    for word in WORDS:
        data = np.array(alone[word])
        most = f"{data.max():.3f}" if len(data) else "–"
        print(f"| {word} | {len(data)} | {int(np.sum(data > EACH))} | {most} |")


if __name__ == "__main__":
    main()
