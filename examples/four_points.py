"""The four points of Mescheder et al. (2017): a Gaussian q leaves gaps, an implicit one tiles.

Data are the four unit vectors of R^4, latents two-dimensional, the likelihood is Bernoulli. No
model can do better than log p(x) = -log 4 = -1.386 nats on average. Every fit is judged by the
exact log p(x) by quadrature over z, whatever number it reported itself.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import optax

import tightbound as tb
from tightbound.objectives.catalogue import parse

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", help="fit only what has this in its name")
    options = parser.parse_args(arguments)
    train = np.resize(np.arange(4), options.batch * STEPS_TOLD)
    epochs = max(1, round(options.steps / STEPS_TOLD))
    print("| posterior | objective | log p(x), nats | reported, nats | seconds a fit |")
    print("|---|---|---|---|---|")
    drawn = {}
    for kind, call in FITS:
        if options.only is not None and options.only not in f"{kind} {call}":
            continue
        exact, reported, seconds = [], [], []
        for seed in range(options.seeds):
            model, posterior = tb.autoencoder(
                POINTS, latent=2, hidden=(64, 64), activation="elu", posterior=kind, key=seed
            )
            began = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                run = tb.fit(
                    model,
                    posterior,
                    POINTS[train],
                    objective=parse(call),
                    epochs=epochs,
                    batch_size=options.batch,
                    optimizer=optax.adam(
                        optax.cosine_decay_schedule(options.rate, epochs * STEPS_TOLD)
                    ),
                    key=seed,
                )
            seconds.append(time.perf_counter() - began)
            exact.append(tb.evidence.exact(run.model, POINTS).mean)
            reported.append(run.history[-1].train_bound[0])
            if seed == 0:
                drawn[f"{kind}, {call}"] = tb.draws(run.model, run.posterior, POINTS, n=1000, key=3)
        both = [", ".join(f"{value:.3f}" for value in values) for values in (exact, reported)]
        print(f"| {kind} | `{call}` | {both[0]} | {both[1]} | {np.mean(seconds):.0f} |", flush=True)

    figure, axes = plt.subplots(
        1, len(drawn), figsize=(2.7 * len(drawn), 2.9), layout="constrained", squeeze=False
    )
    for axis, (name, z) in zip(axes[0], drawn.items(), strict=True):
        for cloud in z:
            axis.plot(cloud[:, 0], cloud[:, 1], ".", markersize=1)
        axis.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), aspect="equal")
        axis.set_title(name.replace(", ", "\n"), fontsize=8)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "four_points.png", dpi=100)
    print(f"picture: {options.out / 'four_points.png'}")


if __name__ == "__main__":
    main()
