"""`python -m benchmarks.annealing`: annealed importance sampling beside its gradients alone.

A transition with L leapfrog steps cannot do with less than L gradients with respect to z of the
density between start and target. What is timed is a pass of annealing with T temperatures over all
chains, as `tb.evidence.annealed` makes it once its step sizes are tuned, a scan of T L such
gradients for as many chains, and, where TensorFlow Probability can be imported, its own annealed
importance sampling (`tfp.mcmc.sample_annealed_importance_chain` on JAX) with the same chains,
temperatures, leapfrog steps and step size; in turn, round after round. Ratios are medians over
rounds of the ratio within a round.
"""

import argparse
import importlib
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
from tightbound.core.streams import item_keys
from tightbound.evidence.annealing.ais import problem_of
from tightbound.mcmc import Path as TemperaturePath
from tightbound.mcmc import forward
from tightbound.mcmc.annealing import Problem, betas
from tightbound.models.weights import split_each

STARTS = ("prior", "q")
STEP_SIZE = 0.05


class Cost(NamedTuple):
    """Seconds of each contestant in each round, for one place to start at."""

    start: str
    seconds: dict[str, list[float]]

    def ratio(self, name: str) -> float:
        """The median ratio to the gradients alone over the rounds."""
        pairs = zip(self.seconds[name], self.seconds["gradients alone"], strict=True)
        return statistics.median(own / alone for own, alone in pairs)


def blocks(
    start: str, *, data: int, chains: int, temperatures: int, leapfrog: int
) -> dict[str, Callable[[], Any]]:
    """A pass of annealing, its gradients alone, and the peer's pass if there is one, compiled."""
    sizes = Sizes()
    x = jnp.asarray(binary_data(sizes)[:data])
    model, posterior = tb.autoencoder(
        binary_data(sizes), latent=sizes.latent, hidden=(sizes.hidden,) * 2
    )
    keys = split_each(item_keys(jax.random.key(0), jnp.arange(data)), chains)
    path = TemperaturePath(
        jnp.asarray(betas("sigmoid", temperatures), jnp.float32),
        jnp.full(temperatures, STEP_SIZE),
        temperatures,
    )
    problem = problem_of(model, posterior if start == "q" else None)
    run = eqx.filter_jit(lambda: forward(problem, path, x, keys, leapfrog=leapfrog).log_w)
    z = jax.random.normal(jax.random.key(1), (data, chains, sizes.latent))

    def halfway(x: jax.Array, z: jax.Array) -> jax.Array:
        return problem.base(x, z) + 0.5 * problem.tilt(x, z)

    gradient = jax.vmap(jax.vmap(jax.grad(halfway, argnums=1), in_axes=(None, 0)))

    @jax.jit
    def alone(z: jax.Array) -> jax.Array:
        # Each gradient moves z, so that none can be left out.
        return jax.lax.scan(
            lambda z, _: (z + 1e-6 * gradient(x, z), None), z, length=temperatures * leapfrog
        )[0]

    found = {"tightbound": run, "gradients alone": lambda: alone(z)}
    peer = of_tfp(problem, x, chains=chains, temperatures=temperatures, leapfrog=leapfrog)
    if peer is not None:
        found["TensorFlow Probability"] = peer
    return {
        name: lambda block=block: jax.block_until_ready(block()) for name, block in found.items()
    }


def of_tfp(
    problem: Problem, x: jax.Array, *, chains: int, temperatures: int, leapfrog: int
) -> Callable[[], Any] | None:
    """The same pass by TensorFlow Probability; None where it cannot be imported."""
    try:
        mcmc = importlib.import_module("tensorflow_probability.substrates.jax").mcmc
    except (ImportError, AttributeError):  # the latter with a version of JAX that it is not for
        return None

    def over_all(log_density: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        return lambda z: jax.vmap(jax.vmap(log_density, in_axes=(None, 0)))(x, z)

    def kernel(log_density: Callable[[Any], Any]) -> Any:
        return mcmc.HamiltonianMonteCarlo(
            log_density, step_size=STEP_SIZE, num_leapfrog_steps=leapfrog
        )

    @jax.jit
    def run(key: jax.Array) -> jax.Array:
        keys = split_each(item_keys(key, jnp.arange(len(x))), chains)
        start = jax.vmap(jax.vmap(problem.start, in_axes=(None, 0)))(x, keys)
        return mcmc.sample_annealed_importance_chain(
            num_steps=temperatures,
            proposal_log_prob_fn=over_all(problem.base),
            target_log_prob_fn=over_all(lambda x, z: problem.base(x, z) + problem.tilt(x, z)),
            current_state=start,
            make_kernel_fn=kernel,
            seed=key,
        )[1]

    return lambda: run(jax.random.key(0))


def measure(*, rounds: int, **settings: int) -> list[Cost]:
    """Times all of them, from the prior and from q(z|x), in turn."""
    costs = []
    for start in STARTS:
        contestants = blocks(start, **settings)
        for block in contestants.values():
            block()  # compiles
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for number in range(rounds):
            names = list(contestants)
            for name in names if number % 2 else reversed(names):
                began = time.perf_counter()
                contestants[name]()
                seconds[name].append(time.perf_counter() - began)
        costs.append(Cost(start, seconds))
    return costs


def table(costs: list[Cost]) -> str:
    """Markdown: seconds of each, and their ratio to the gradients alone."""
    return "\n".join(
        [
            "| from | | s | to its gradients alone |",
            "|---|---|---|---|",
            *(
                f"| {cost.start} | {name} | {statistics.median(own):.2f} | {cost.ratio(name):.2f} |"
                for cost in costs
                for name, own in cost.seconds.items()
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
