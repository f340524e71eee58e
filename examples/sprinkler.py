"""The continuous sprinkler of Huszar (2017) with every objective that applies.

Each posterior q(z|x) is fitted once for all x. Its mean, variance and correlation stand beside the
exact ones by quadrature, and KL(q(z|x) || p(z|x)) is taken on a grid from a kernel density estimate
of many draws. Objectives that compare joints are trained on draws of p(x), the others on the five
values of x that are shown.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from comparison import fitted, parser, save, selected, several

import tightbound as tb

SHOWN = (0.0, 5.0, 8.0, 12.0, 50.0)
FITS = (
    ("normal", "elbo()", False),
    ("semi_implicit", "sivi(k=50)", False),
    ("semi_implicit", "uivi()", False),
    ("implicit", "pc_adv()", False),
    ("implicit", "pc_adv(contrast='adaptive')", False),
    ("implicit", "pc_den()", False),
    ("implicit", "pc_den(prior='denoiser')", False),
    ("implicit", "opvi()", False),
    ("implicit", "hybrid()", False),
    ("implicit", "jc_adv()", True),
    ("implicit", "jc_den()", True),
    ("implicit", "jc_adv_rmd()", True),
    ("implicit", "ali()", True),
)
"""Kinds of posterior, objectives, and whether they train on draws of p(x)."""
SIDE, POINTS = 9.0, 300
STEPS_TOLD = 100


def exact(model: tb.Model, x: float) -> dict[str, np.ndarray]:
    """Moments of p(z|x) and its density on a grid of the window."""
    line = np.linspace(-SIDE, SIDE, 1201)
    z = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).astype(np.float32)
    log_joint = jax.jit(jax.vmap(jax.vmap(lambda z: model.log_joint(jnp.array([x]), z))))
    weight = np.exp(np.asarray(log_joint(z), np.float64))
    weight /= weight.sum()
    means = [np.sum(weight * line[:, None]), np.sum(weight * line[None])]
    centred = line - means[0]
    variance = np.sum(weight * centred[:, None] ** 2)
    covariance = np.sum(weight * centred[:, None] * (line - means[1])[None])
    return {
        "mean": means[0],
        "variance": variance,
        "correlation": covariance / variance,
        "density": weight[::4, ::4],
        "line": line[::4],
    }


def training_data(model: tb.Model, *, joint: bool, batch: int) -> np.ndarray:
    """Enough items for `STEPS_TOLD` steps: the values shown again and again, or draws of p(x)."""
    n = batch * STEPS_TOLD
    if not joint:
        return np.resize(np.array(SHOWN, np.float32), n)[:, None]
    return np.asarray(jax.jit(jax.vmap(model.sample))(jax.random.split(jax.random.key(7), n))[0])


def main(arguments: list[str] | None = None) -> None:
    """Fits, prints and draws."""
    given = parser(__doc__, steps=4000, batch=500)
    given.add_argument("--rate", type=float, default=2e-3)
    given.add_argument("--draws", type=int, default=100_000, help="draws behind each KL")
    options = given.parse_args(arguments)
    model = tb.models.problems.sprinkler()
    truths = {x: exact(model, x) for x in SHOWN}
    columns = " | ".join(f"x = {x:g}" for x in SHOWN)
    print(f"| posterior | objective | seconds a fit | KL(q, p) in nats: {columns} |")
    print(f"|---|---|---|{'---|' * len(SHOWN)}")
    drawn = {}
    for kind, call, joint in selected(FITS, options.only):
        train = training_data(model, joint=joint, batch=options.batch)
        epochs = max(1, round(options.steps / STEPS_TOLD))
        fit = fitted(
            model,
            tb.posterior(model, kind),
            train,
            call=call,
            epochs=epochs,
            batch_size=options.batch,
            seeds=options.seeds,
            rate=options.rate,
            decay=epochs * STEPS_TOLD,
        )
        if fit is None:
            continue
        run, seconds = fit
        cells, moments = [], []
        for x, truth in truths.items():
            given_x = np.array([[x]], np.float32)
            draws = [
                tb.draws(model, parts.posterior, given_x, n=options.draws, key=3)[0]
                for parts in run.replicas
            ]
            found = [
                tb.diagnostics.kl_on_grid(
                    z[np.all(np.abs(z) < SIDE, axis=1)],
                    lambda z, x=x: model.log_joint(jnp.array([x]), z),
                    low=(-SIDE, -SIDE),
                    high=(SIDE, SIDE),
                    points=POINTS,
                )
                for z in draws
            ]
            error = f" ± {2 * found[0].stderr:.3f}" if options.seeds == 1 else ""
            cells.append(several([one.kl for one in found]) + error)
            z = draws[0]
            drawn.setdefault(f"{kind}, {call}", []).append(z)
            moments.append(
                f"{z.mean():.2f} ({truth['mean']:.2f}), {z.var(axis=0).mean():.2f} "
                f"({truth['variance']:.2f}), {np.corrcoef(z.T)[0, 1]:.2f} "
                f"({truth['correlation']:.2f})"
            )
        print(f"| {kind} | `{call}` | {seconds:.0f} | {' | '.join(cells)} |", flush=True)
        print(f"|  | mean, variance, correlation (exact) | | {' | '.join(moments)} |", flush=True)

    figure, axes = plt.subplots(
        len(drawn),
        len(SHOWN),
        figsize=(1.9 * len(SHOWN), 1.9 * len(drawn)),
        layout="constrained",
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for row, (name, all_z) in zip(axes, drawn.items(), strict=True):
        row[0].set_ylabel(name.replace(", ", "\n"), fontsize=7)
        for axis, z, (x, truth) in zip(row, all_z, truths.items(), strict=True):
            axis.plot(z[:3000, 0], z[:3000, 1], ".", markersize=1, alpha=0.4)
            levels = truth["density"].max() * np.array([0.02, 0.1, 0.3, 0.6])
            axis.contour(
                truth["line"], truth["line"], truth["density"].T, levels, colors="k", linewidths=0.5
            )
            axis.set(xlim=(-5, 5), ylim=(-5, 5))
            axis.set_title(f"x = {x:g}", fontsize=9)
    save(figure, options.out, "sprinkler")


if __name__ == "__main__":
    main()
