"""`python -m benchmarks.objectives`: what each objective costs beside plain IWAE.

Passes are counted in the likelihood's products, which take nearly all the time: for each draw one
forward, one backward into the weights, and one backward through the layers. Plain IWAE needs all
three for k draws. Without a path through z the last one stops before the first layer.

What is timed is a scan of gradient steps of each objective on the same minibatches, in turn, round
after round; ratios are medians over rounds of the ratio within a round.
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
import optax

import tightbound as tb
from benchmarks.sizes import Sizes, binary_data
from tightbound.core.items import Items
from tightbound.core.streams import item_keys
from tightbound.objectives.registry import parse

K = 48
"""Draws per datum: a number that divides by 6 and 8."""
_PRODUCTS = (50 * 200, 200 * 200, 200 * 784)
NO_PATH = 3 - _PRODUCTS[0] / sum(_PRODUCTS)
CALLS: dict[str, float] = {
    f"iwae({K})": 3,
    f"iwae({K}, 'stl')": 3,
    f"iwae({K}, 'dreg')": 3,
    f"iwae({K}, 'vimco')": NO_PATH,
    f"iwae({K}, 'score_function')": NO_PATH,
    f"iwae({K}, 'score_function_cv')": NO_PATH,
    f"iwae({K}, 'dreg@8')": 1 + 3 * 8 / K,
    f"iwae({K}, 'single_sample')": 1 + 3 / K,
    f"elbo(samples={K})": 3,
    f"elbo('B', samples={K})": 3,
    f"miwae(6, {K // 6})": 3,
    f"piwae(6, {K // 6})": 3,
    f"ciwae({K}, 0.5)": 3,
    f"vr({K}, 0.5)": 3,
    f"jvi({K}, 1)": 3,
    f"jvi({K}, 2)": 3,
    f"combined({K})": 3,
    f"annealed(10, samples={K})": 3,
    f"wake_sleep({K})": NO_PATH,
    f"rws({K})": NO_PATH,
    f"rws({K}, 'both')": NO_PATH,
    f"rws({K}, 'wake_dreg')": 3,
}
"""Each objective as a call, with the products that its draws need, per draw."""
IWAE = next(iter(CALLS))


class Cost(NamedTuple):
    """One objective: milliseconds a step in each round, and ratios to plain IWAE."""

    call: str
    passes: float
    milliseconds: list[float]
    ratios: list[float]

    @property
    def predicted(self) -> float:
        """The ratio that its passes predict."""
        return self.passes / CALLS[IWAE]

    @property
    def ratio(self) -> float:
        """The median ratio over the rounds."""
        return statistics.median(self.ratios)


def steps_of(call: str, sizes: Sizes, steps: int) -> Callable[[], Any]:
    """A compiled scan of gradient steps."""
    x = jnp.asarray(binary_data(sizes))
    parts = tb.objectives.Params(
        *tb.autoencoder(binary_data(sizes), latent=sizes.latent, hidden=(sizes.hidden,) * 2)
    )
    objective = parse(call)
    objective.check(parts)
    params, static = eqx.partition(parts, eqx.is_inexact_array)
    optimizer = optax.sgd(1e-4)

    def step(params: Any, number: jax.Array) -> tuple[Any, jax.Array]:
        rows = (number * sizes.batch + jnp.arange(sizes.batch)) % x.shape[0]
        keys = item_keys(jax.random.fold_in(jax.random.key(0), number), rows)
        whole = eqx.combine(params, static)
        state = objective.init(whole, x.shape[0], jax.random.key(0))
        outcome, _ = objective.step(whole, state, Items(x[rows], rows), keys)
        grads = eqx.filter(outcome.grads, eqx.is_inexact_array)
        updates, _ = optimizer.update(grads, optimizer.init(params), params)
        return optax.apply_updates(params, updates), jnp.mean(outcome.bound)

    run = jax.jit(lambda params: jax.lax.scan(step, params, jnp.arange(steps)))
    return lambda: jax.block_until_ready(run(params))


def measure(calls: list[str], *, rounds: int, steps: int) -> list[Cost]:
    """Times all objectives in turn."""
    sizes = Sizes(k=K)
    blocks = {call: steps_of(call, sizes, steps) for call in dict.fromkeys([IWAE, *calls])}
    for block in blocks.values():
        block()  # compiles
    times: dict[str, list[float]] = {call: [] for call in blocks}
    names = list(blocks)
    for number in range(rounds):
        shift = number % len(names)
        for call in names[shift:] + names[:shift]:
            began = time.perf_counter()
            blocks[call]()
            times[call].append(1e3 * (time.perf_counter() - began) / steps)
    return [
        Cost(
            call,
            CALLS[call],
            times[call],
            [own / plain for own, plain in zip(times[call], times[IWAE], strict=True)],
        )
        for call in blocks
    ]


def table(costs: list[Cost]) -> str:
    """Markdown: time, ratio to plain IWAE, and the ratio that the passes predict."""
    lines = [
        "| objective | ms per step | to `iwae` | by passes | more than predicted |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{cost.call}` | {statistics.median(cost.milliseconds):.1f} | {cost.ratio:.2f} | "
        f"{cost.predicted:.2f} | {100 * (cost.ratio / cost.predicted - 1):+.0f} % |"
        for cost in costs
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.objectives")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each objective")
    parser.add_argument("--steps", type=int, default=10, help="gradient steps in a block")
    parser.add_argument("--only", help="calls from the table, split by ';'")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the times here too")
    options = parser.parse_args(arguments)
    calls = list(CALLS) if options.only is None else options.only.split(";")
    unknown = [call for call in calls if call not in CALLS]
    if unknown:
        parser.error(f"expected calls out of {'; '.join(CALLS)}, got {'; '.join(unknown)}")
    costs = measure(calls, rounds=options.rounds, steps=options.steps)
    print(table(costs))
    if options.json:
        options.json.write_text(json.dumps([cost._asdict() for cost in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
