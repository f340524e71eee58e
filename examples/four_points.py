"""The four points of Mescheder et al. (2017): a Gaussian q leaves gaps, an implicit one tiles.

Data are the four unit vectors of R^4, latents two-dimensional, the likelihood is Bernoulli. No
model can do better than log p(x) = -log 4 = -1.386 nats on average. Every fit is judged by the
exact log p(x) by quadrature over z, whatever number it reported itself.
"""

import matplotlib.pyplot as plt
import numpy as np
from comparison import fitted, parser, save, selected, several

import tightbound as tb

FITS = (
    ("normal", "elbo()"),
    ("implicit", "pc_adv()"),
    ("implicit", "pc_adv(contrast='adaptive')"),
    ("implicit", "pc_den()"),
    ("semi_implicit", "sivi(k=20)"),
)
"""Kinds of posterior, and the objectives that fit them."""
POINTS = np.eye(4, dtype=np.float32)
STEPS_TOLD = 100


def main(arguments: list[str] | None = None) -> None:
    """Fits, judges, prints and draws."""
    given = parser(__doc__, steps=5000, batch=256)
    given.add_argument("--rate", type=float, default=1e-3)
    options = given.parse_args(arguments)
    train = np.resize(np.arange(4), options.batch * STEPS_TOLD)
    epochs = max(1, round(options.steps / STEPS_TOLD))
    print("| posterior | objective | log p(x), nats | reported, nats | seconds a fit |")
    print("|---|---|---|---|---|")
    drawn = {}
    for kind, call in selected(FITS, options.only):
        model, posterior = tb.autoencoder(
            POINTS, latent=2, hidden=(64, 64), activation="elu", posterior=kind
        )
        fit = fitted(
            model,
            posterior,
            POINTS[train],
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
        exact = several([tb.evidence.exact(learned, POINTS).mean for learned, _ in run.replicas])
        reported = several(run.history[-1].train_bound)
        print(f"| {kind} | `{call}` | {exact} | {reported} | {seconds:.0f} |", flush=True)
        drawn[f"{kind}, {call}"] = tb.draws(run.model, run.posterior, POINTS, n=1000, key=3)

    figure, axes = plt.subplots(
        1, len(drawn), figsize=(2.7 * len(drawn), 2.9), layout="constrained", squeeze=False
    )
    for axis, (name, z) in zip(axes[0], drawn.items(), strict=True):
        for cloud in z:
            axis.plot(cloud[:, 0], cloud[:, 1], ".", markersize=1)
        axis.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal")
        axis.set_title(name.replace(", ", "\n"), fontsize=8)
    save(figure, options.out, "four_points")


if __name__ == "__main__":
    main()
