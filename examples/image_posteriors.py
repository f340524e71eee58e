"""Autoencoders of images with implicit and semi-implicit posteriors beside a Gaussian one.

The same decoder is trained with each of them, from the same numbers, for as many steps. All are
judged by annealed importance sampling of log p(x), from the same start (the prior) and with the
same chains: the number that an adversarial objective reports is no bound, and stands beside it.
With `--network conv` posteriors, classifiers and denoisers are convolutional. Joint contrasts
(`jc_adv_rmd`, `ali`) move the model through its own draws x, which binary pixels do not let pass:
they take part with a likelihood of real numbers, `--likelihood "gaussian_fixed(scale=0.2)"`.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from comparison import fitted, save, selected
from scipy import stats

import tightbound as tb

FITS = (
    ("normal", "elbo()"),
    ("implicit", "pc_adv(contrast='adaptive', inner=2, hidden=(256, 256))"),
    ("implicit", "pc_den(inner=2, hidden=(256, 256))"),
    ("semi_implicit", "sivi(k=10)"),
)
JOINT = (
    ("implicit", "jc_adv_rmd(inner=2, hidden=(256, 256))"),
    ("implicit", "ali(inner=2, hidden=(256, 256))"),
)
"""Kinds of posterior, and the objectives that fit them."""


def main(arguments: list[str] | None = None) -> None:
    """Fits, judges, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist", help="a data set's name")
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--latent", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=50, help="test images")
    parser.add_argument("--temperatures", type=int, default=200)
    parser.add_argument("--chains", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--network", default="dense", help="or conv")
    parser.add_argument("--likelihood", default="bernoulli")
    parser.add_argument("--only", default="", help="fit only what has this in its name")
    options = parser.parse_args(arguments)
    ds = tb.data.load(options.data)
    test = ds.test[: options.items]
    steps = options.epochs * (len(ds.train) // 100)

    print(
        "| posterior | objective | log p(x), nats | 95 % over seeds | each seed | images | draws | "
        "reported | active units | seconds a fit |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    histories = {}
    fits = FITS if options.likelihood == "bernoulli" else (*FITS, *JOINT)
    for kind, call in selected(fits, options.only):
        values, reported, active, seconds, errors = [], [], [], [], []
        for seed in range(options.seeds):
            model, posterior = tb.autoencoder(
                ds,
                latent=options.latent,
                posterior=kind,
                network=options.network,
                likelihood=options.likelihood,
                key=seed,
            )
            fit = fitted(
                model,
                posterior,
                ds.train,
                call=call,
                epochs=options.epochs,
                batch_size=100,
                seeds=1,
                rate=options.rate,
                decay=steps,
                key=seed,
            )
            if fit is None:
                continue
            run, taken = fit
            seconds.append(taken)
            found = tb.evidence.annealed(
                run.model, test, temperatures=options.temperatures, chains=options.chains
            )
            (units,) = tb.diagnostics.active_units(run.model, run.posterior, ds.train[:500])
            values.append(found.mean)
            errors.append(found.stderr_draws)
            images = found.stderr_data
            reported.append(run.history[-1].train_bound[0])
            active.append(units.active)
            histories.setdefault(f"{kind}, {call.split('(')[0]}", []).append(
                [record.train_bound[0] for record in run.history]
            )
        if not values:
            continue
        spread = "–"
        if len(values) > 1:
            half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
            spread = f"± {half:.2f}"
        each = ", ".join(f"{value:.2f}" for value in values)
        print(
            f"| {kind} | `{call}` | {np.mean(values):.2f} | {spread} | {each} | ± {images:.2f} | "
            f"± {np.max(errors):.2f} | {np.mean(reported):.2f} | "
            f"{', '.join(map(str, active))} of {options.latent} | {np.mean(seconds):.0f} |",
            flush=True,
        )

    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for number, (name, curves) in enumerate(histories.items()):
        for i, curve in enumerate(curves):
            label = name if i == 0 else None
            axis.plot(range(1, len(curve) + 1), curve, color=f"C{number}", label=label)
    axis.set(xlabel="epoch", ylabel="reported number, nats (not one quantity)")
    axis.legend(fontsize=8)
    save(figure, options.out, "image_posteriors")


if __name__ == "__main__":
    main()
