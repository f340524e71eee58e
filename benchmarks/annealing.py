"""`python -m benchmarks.annealing`: annealed importance sampling beside its gradients alone.

A transition with L leapfrog steps cannot do with less than L gradients of the log-joint with
respect to z. What is timed is a pass of annealing with T temperatures over all chains, as
`tb.evidence.annealed` makes it once its step sizes are tuned, and a scan of T L such gradients for
as many chains, in turn, round after round; ratios are medians over rounds of the ratio within a
round.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

import tightbound as tb
from benchmarks.sizes import Sizes, binary_data
from tightbound.evidence.annealed import problem_of
from tightbound.mcmc import Path as TemperaturePath
from tightbound.mcmc import forward
from tightbound.mcmc.annealing import betas
from tightbound.models.weights import split_each
from tightbound.randomness import item_keys

STARTS = ("prior", "q")


class Cost(NamedTuple):
    """Seconds of both in each round, for one place to start at."""

    start: str
    annealing: list[float]
    gradients: list[float]

    @property
    def ratio(self) -> float:
        """The median ratio over the rounds."""
        pairs = zip(self.annealing, self.gradients, strict=True)
        return statistics.median(own / alone for own, alone in pairs)


def blocks(
    start: str, *, data: int, chains: int, temperatures: int, leapfrog: int
) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """A pass of annealing, and its gradients alone, compiled."""
    sizes = Sizes()
    x = jnp.asarray(binary_data(sizes)[:data])
    model, posterior = tb.autoencoder(
        binary_data(sizes), latent=sizes.latent, hidden=(sizes.hidden,) * 2
    )
    keys = split_each(item_keys(jax.random.key(0), jnp.arange(data)), chains)
    path = TemperaturePath(
        jnp.asarray(betas("sigmoid", temperatures), jnp.float32), jnp.full(temperatures, 0.05)
    )
    problem = problem_of(model, posterior if start == "q" else None)
    run = eqx.filter_jit(lambda: forward(problem, path, x, keys, leapfrog=leapfrog).log_w)
    z = jax.random.normal(jax.random.key(1), (data, chains, sizes.latent))
    gradient = jax.vmap(jax.vmap(jax.grad(model.log_joint, argnums=1), in_axes=(None, 0)))

    @jax.jit
    def alone(z: jax.Array) -> jax.Array:
        # Each gradient moves z, so that none can be left out.
        return jax.lax.scan(
            lambda z, _: (z + 1e-6 * gradient(x, z), None), z, length=temperatures * leapfrog
        )[0]

    return lambda: jax.block_until_ready(run()), lambda: jax.block_until_ready(alone(z))


def measure(*, rounds: int, **settings: int) -> list[Cost]:
    """Times both, from the prior and from q(z|x), in turn."""
    costs = []
    for start in STARTS:
        pair = blocks(start, **settings)
        for block in pair:
            block()  # compiles
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds):
            for which in (number % 2, 1 - number % 2):
                began = time.perf_counter()
                pair[which]()
                times[which].append(time.perf_counter() - began)
        costs.append(Cost(start, *times))
    return costs


def table(costs: list[Cost]) -> str:
    """Markdown: seconds of both, and their ratio."""
    return "\n".join(
        [
            "| from | s, annealing | s, its gradients alone | ratio |",
            "|---|---|---|---|",
            *(
                f"| {cost.start} | {statistics.median(cost.annealing):.2f} | "
                f"{statistics.median(cost.gradients):.2f} | {cost.ratio:.2f} |"
                for cost in costs
            ),
        ]
    )


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.annealing")
    parser.add_argument("--rounds", type=int, default=5, help="passes of each")
    parser.add_argument("--data", type=int, default=100, help="images at once")
    parser.add_argument("--chains", type=int, default=16, help="chains for each image")
    parser.add_argument("--temperatures", type=int, default=10)
    parser.add_argument("--leapfrog", type=int, default=10, help="leapfrog steps of a transition")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times here too")
    options = vars(parser.parse_args(arguments))
    file = options.pop("json")
    costs = measure(**options)
    print(table(costs))
    if file:
        file.write_text(json.dumps([cost._asdict() for cost in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
