"""Bayesian logistic regression of three points: how far is each posterior from the exact one?

Two weights w ~ N(0, 2 I) (Huszar 2017, arXiv 1702.08235). The evidence is known by quadrature, and
the posterior on a grid; KL(q || p) is from a kernel density estimate of many draws of q, less the
estimate's own bias.

python examples/logistic_regression.py --out pictures
"""

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from comparison import fitted, parser, save, selected, several

matplotlib.use("agg")
import matplotlib.pyplot as plt

import tightbound as tb

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
    given = parser(__doc__, steps=5000, batch=200)
    given.add_argument("--draws", type=int, default=200_000, help="draws behind each KL")
    options = given.parse_args(arguments)
    target = tb.models.problems.logistic_regression()
    none = jnp.zeros(0)

    def log_density(w: jax.Array) -> jax.Array:
        return target.log_joint(none, w)

    print(tb.evidence.exact(target).summary())
    print("| posterior | objective | KL(q, p) in nats | window left | seconds a fit |")
    print("|---|---|---|---|---|")
    pictures = {}
    for kind, call in selected(FITS, options.only):
        fit = fitted(
            target,
            tb.posterior(target, kind, hidden=(20, 20), noise=3, key=0),
            call=call,
            steps=options.steps,
            batch_size=options.batch,
            seeds=options.seeds,
            rate=3e-3,
        )
        if fit is None:
            continue
        run, seconds = fit
        draws = [tb.draws(target, q, n=options.draws, key=3) for _, q in run.replicas]
        corners = {"low": (-SIDE, -SIDE), "high": (SIDE, SIDE)}
        found = [tb.diagnostics.kl_on_grid(w, log_density, **corners) for w in draws]
        error = f" ± {2 * found[0].stderr:.4f}" if options.seeds == 1 else ""
        outside = max(one.outside for one in found)
        kl = several([one.kl for one in found], digits=4)
        print(
            f"| {kind} | `{call}` | {kl}{error} | {outside:.2%} | {seconds:.0f} |",
            flush=True,
        )
        pictures[f"{kind}, {call}: {found[0].kl:.3f} nats"] = draws[0]

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
    save(figure, options.out, "logistic_regression")


if __name__ == "__main__":
    main()
