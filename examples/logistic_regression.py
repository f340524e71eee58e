"""Bayesian logistic regression of three points: how far is each posterior from the exact one?

Two weights w ~ N(0, 2 I) (Huszar 2017, arXiv 1702.08235). The evidence is known by quadrature, and
the posterior on a grid; KL(q || p) is from a kernel density estimate of many draws of q, less the
estimate's own bias.

python examples/logistic_regression.py --out pictures
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb
from tightbound.objectives.catalogue import parse

FITS = (
    ("normal", "elbo()"),
    ("implicit", "pc_adv()"),
    ("implicit", "pc_adv(contrast='adaptive')"),
    ("implicit", "pc_den()"),
    ("semi_implicit", "sivi(k=50)"),
    ("semi_implicit", "uivi()"),
)
"""Kinds of posterior, and the objectives that fit them."""
SIDE = 8.0
"""The window is (-SIDE, SIDE)^2."""


def main(arguments: list[str] | None = None) -> None:
    """Fits, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=200, help="draws of q in a step")
    parser.add_argument("--draws", type=int, default=200_000, help="draws behind each KL")
    parser.add_argument("--only", help="fit only what has this in its name")
    options = parser.parse_args(arguments)
    target = tb.models.problems.logistic_regression()
    none = jnp.zeros(0)

    def log_density(w: jax.Array) -> jax.Array:
        return target.log_joint(none, w)

    print(tb.evidence.exact(target).summary())
    print("| posterior | objective | KL(q, p) in nats | window left |")
    print("|---|---|---|---|")
    pictures = {}
    for kind, call in FITS:
        if options.only is not None and options.only not in f"{kind} {call}":
            continue
        try:
            objective = parse(call)
            q = tb.posterior(target, kind, hidden=(20, 20), noise=3, key=0)
            run = tb.fit(
                target,
                q,
                objective=objective,
                steps=options.steps,
                batch_size=options.batch,
                optimizer=optax.adam(3e-3),
            )
        except tb.UsageError as error:
            print(f"skipped {kind}, {call}: {error}")
            continue
        w = tb.draws(target, run.posterior, n=options.draws, key=3)
        corners = {"low": (-SIDE, -SIDE), "high": (SIDE, SIDE)}
        found = tb.diagnostics.kl_on_grid(w, log_density, **corners)
        print(
            f"| {kind} | `{call}` | {found.kl:.4f} ± {2 * found.stderr:.4f} | {found.outside:.2%} |"
        )
        pictures[f"{kind}, {call}: {found.kl:.3f} nats"] = w

    line = np.linspace(-SIDE, SIDE, 200)
    grid = np.stack(np.meshgrid(line, line), axis=-1).astype(np.float32)
    height = np.exp(np.asarray(jax.jit(jax.vmap(jax.vmap(log_density)))(grid)))
    figure, axes = plt.subplots(
        1,
        max(1, len(pictures)),
        figsize=(3.4 * max(1, len(pictures)), 3.4),
        layout="constrained",
        squeeze=False,
    )
    for axis, (name, w) in zip(axes[0], pictures.items(), strict=False):
        axis.plot(w[:4000, 0], w[:4000, 1], ".", markersize=1, alpha=0.5)
        axis.contour(line, line, height, levels=5, colors="black", linewidths=0.6)
        axis.set(xlabel="w_1", ylabel="w_2", xlim=(-4, 6), ylim=(-3, 7))
        axis.set_title(name, fontsize=8)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "logistic_regression.png", dpi=110)
    print(f"picture: {options.out / 'logistic_regression.png'}")


if __name__ == "__main__":
    main()
