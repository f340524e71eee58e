"""Inference from simulations alone: two moons, and two simulators that are linear and Gaussian.

A posterior q(z|x) is fitted to stored pairs (z, x), as if they came from a simulator elsewhere, and
its draws at observations that it has not seen are told from exact posterior draws by a classifier
(C2ST: 0.5 is best, 1 worst; Lueckmann et al. 2021, arXiv 2101.04653). Nine tenths of the pairs are
fitted to, the others kept for validation. Two moons and "Gaussian linear" are that benchmark's, and
so are the observations of two moons; `--draws 10000 --observations 10` is its definition.

Two moons has two narrow crescents, of which a fit without much noise keeps one: the schedules start
with noise wider than the distance between them and end with less than their width.

python examples/simulators.py --out pictures
"""

import jax
import matplotlib
import numpy as np
from comparison import fitted, parser, save, selected, several

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

FITS = (
    ("flow", "npe()"),
    ("implicit", "jc_adv()"),
    ("implicit", "jc_adv(rate=3e-3, instance_noise=(1.0, 0.02, {most}))"),
    ("implicit", "jc_den(rate=3e-3, sigma=(3.0, 0.05, {most}))"),
)
"""Kinds of posterior, and the objectives that fit them; `most` of the epochs."""
PROBLEMS = {
    "two moons": tb.models.problems.two_moons,
    "linear-Gaussian": tb.models.problems.linear_gaussian_simulator,
    "Gaussian linear": tb.models.problems.gaussian_linear,
}
PUBLISHED = {
    "two moons": (
        (-0.6396706, 0.16234657),
        (-0.5676688, -0.33194834),
        (0.0030109584, -0.6457662),
        (-0.25049388, 0.633055),
        (-0.66463584, -0.42604533),
        (-0.12940255, 0.3873573),
        (0.19458583, 1.0400153),
        (0.13603824, 0.9160449),
        (-0.17962828, -0.5452459),
        (0.14563406, -1.170141),
    )
}
"""The benchmark's observations (sbibm, tasks/two_moons/files); of others, draws of x."""


def simulations(model: tb.Model, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (z, x), n of them."""
    x, z = jax.jit(jax.vmap(model.sample))(jax.random.split(jax.random.key(seed), n))
    return np.asarray(z), np.asarray(x)


def main(arguments: list[str] | None = None) -> None:
    """Simulates, fits, prints and draws."""
    given = parser(__doc__, steps=3000, batch=200)
    given.add_argument("--rate", type=float, default=3e-3, help="Adam's first rate; cosine to 0")
    given.add_argument("--simulations", type=int, nargs="+", default=[1000, 10_000])
    given.add_argument("--observations", type=int, default=5, help="x that draws are compared at")
    given.add_argument("--draws", type=int, default=2000, help="draws compared at each x")
    options = given.parse_args(arguments)

    print(
        "| simulator | simulations | objective | C2ST, mean over x | each x, first seed | "
        "seconds a fit |"
    )
    print("|---|---|---|---|---|---|")
    pictures = {}
    for name, make in PROBLEMS.items():
        chosen = list(selected(FITS, options.only, f"{name} "))
        if not chosen:
            continue
        problem = make()
        _, seen = simulations(problem.model, options.observations, seed=1)
        if name in PUBLISHED:
            seen = np.array(PUBLISHED[name], np.float32)[: options.observations]
        exact = [problem.posterior(x, options.draws, i) for i, x in enumerate(seen)]
        pictures[f"{name}\nexact"] = exact[0], exact[0]
        for n in options.simulations:
            z, x = simulations(problem.model, n, seed=2)
            held = n // 10
            model = tb.models.simulated(np.roll(z, -held, 0), np.roll(x, -held, 0), held=held)
            batch = min(options.batch, n - held)
            epochs = max(1, options.steps // ((n - held) // batch))
            for kind, template in chosen:
                call = template.format(most=max(1, epochs * 4 // 5))
                fit = fitted(
                    model,
                    tb.posterior(model, kind, hidden=(64, 64), key=0),
                    x[held:],
                    call=call,
                    validation=x[:held],
                    epochs=epochs,
                    # Of the others no number says which epoch was best.
                    early_stopping=epochs if call == "npe()" else None,
                    batch_size=batch,
                    seeds=options.seeds,
                    rate=options.rate,
                    decay=options.steps,
                )
                if fit is None:
                    continue
                run, seconds = fit
                scores = []
                for _, q in run.replicas:
                    drawn = tb.draws(model, q, seen, n=options.draws, key=3)
                    scores.append(
                        [
                            tb.diagnostics.c2st(truth, found).accuracy
                            for truth, found in zip(exact, drawn, strict=True)
                        ]
                    )
                    title = f"{name}, {n}: {scores[0][0]:.3f}\n" + call.replace("3, ", "3,\n")
                    pictures.setdefault(title, (drawn[0], exact[0]))
                mean = several(np.mean(scores, axis=1))
                each = ", ".join(f"{score:.3f}" for score in scores[0])
                print(f"| {name} | {n} | `{call}` | {mean} | {each} | {seconds:.0f} |", flush=True)

    columns = max(2, -(-len(pictures) // 2))
    figure, axes = plt.subplots(2, columns, figsize=(2.6 * columns, 5.2), layout="constrained")
    for axis, (title, (z, exact)) in zip(axes.ravel(), pictures.items(), strict=False):
        axis.plot(z[:, 0], z[:, 1], ".", markersize=1, alpha=0.5)
        axis.set_title(title, fontsize=7)
        low, high = exact.min(axis=0), exact.max(axis=0)
        low, high = 1.2 * low - 0.2 * high, 1.2 * high - 0.2 * low
        axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for axis in axes.ravel()[len(pictures) :]:
        axis.axis("off")
    save(figure, options.out, "simulators")


if __name__ == "__main__":
    main()
