"""Inference from simulations alone: two moons and a linear-Gaussian simulator.

A posterior q(z|x) is fitted to stored pairs (z, x), as if they came from a simulator elsewhere, and
its draws at observations that it has not seen are told from exact posterior draws by a classifier
(C2ST: 0.5 is best, 1 worst; Lueckmann et al. 2021, arXiv 2101.04653). Nine tenths of the pairs are
fitted to, the others kept for validation.

python examples/simulators.py --out pictures
"""

import argparse
from pathlib import Path

import jax
import matplotlib
import numpy as np
import optax

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb
from tightbound.objectives.catalogue import parse

FITS = (("implicit", "jc_adv()"), ("implicit", "jc_den()"))
"""Kinds of posterior, and the objectives that fit them."""
PROBLEMS = {
    "two moons": tb.models.problems.two_moons,
    "linear-Gaussian": tb.models.problems.linear_gaussian_simulator,
}


def simulations(model: tb.Model, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (z, x), n of them."""
    x, z = jax.jit(jax.vmap(model.sample))(jax.random.split(jax.random.key(seed), n))
    return np.asarray(z), np.asarray(x)


def main(arguments: list[str] | None = None) -> None:
    """Simulates, fits, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=200, help="pairs in a step")
    parser.add_argument("--simulations", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--observations", type=int, default=5, help="x that draws are compared at")
    parser.add_argument("--draws", type=int, default=2000, help="draws compared at each x")
    parser.add_argument("--only", help="fit only what has this in its name")
    options = parser.parse_args(arguments)

    print("| simulator | simulations | posterior | objective | C2ST, mean over x (each x) |")
    print("|---|---|---|---|---|")
    pictures = {}
    for name, make in PROBLEMS.items():
        problem = make()
        _, seen = simulations(problem.model, options.observations, seed=1)
        exact = [problem.posterior(x, options.draws, i) for i, x in enumerate(seen)]
        pictures[f"{name}, exact"] = exact[0]
        for n in options.simulations:
            z, x = simulations(problem.model, n, seed=2)
            held = n // 10
            model = tb.models.simulated(z[held:], x[held:])
            for kind, call in FITS:
                if options.only is not None and options.only not in f"{name} {kind} {call}":
                    continue
                steps_per_epoch = max(1, (n - held) // options.batch)
                try:
                    objective = parse(call)
                    q = tb.posterior(model, kind, hidden=(64, 64), key=0)
                    run = tb.fit(
                        model,
                        q,
                        x[held:],
                        objective=objective,
                        validation=x[:held],
                        epochs=max(1, options.steps // steps_per_epoch),
                        batch_size=min(options.batch, n - held),
                        optimizer=optax.adam(1e-3),
                    )
                except tb.UsageError as error:
                    print(f"skipped {name}, {n} simulations, {call}: {error}")
                    continue
                drawn = tb.draws(model, run.posterior, seen, n=options.draws, key=3)
                scores = [
                    tb.diagnostics.c2st(truth, found).accuracy
                    for truth, found in zip(exact, drawn, strict=True)
                ]
                each = ", ".join(f"{score:.3f}" for score in scores)
                print(f"| {name} | {n} | {kind} | `{call}` | {np.mean(scores):.3f} ({each}) |")
                pictures[f"{name}, {n}, {call}: {scores[0]:.3f}"] = drawn[0]

    columns = max(2, -(-len(pictures) // 2))
    figure, axes = plt.subplots(2, columns, figsize=(2.6 * columns, 5.2), layout="constrained")
    for axis, (title, z) in zip(axes.ravel(), pictures.items(), strict=False):
        axis.plot(z[:, 0], z[:, 1], ".", markersize=1, alpha=0.5)
        axis.set_title(title, fontsize=7)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "simulators.png", dpi=110)
    print(f"picture: {options.out / 'simulators.png'}")


if __name__ == "__main__":
    main()
