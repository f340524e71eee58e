"""What a convolutional model of images reaches in the hours that it is given, on this machine.

Fits one model with a checkpoint that a later call goes on from, and judges it on test images: the
ELBO, the bound of k draws, and annealed importance sampling of the same images, which says how much
of log p(x) draws of q leave out. The curve is of the validation bound against hours of fitting.

    python examples/mnist_hours.py ladder --epochs 10 --directory ladder --average 0.999
    python examples/mnist_hours.py conv --data binarized_mnist --objective "iwae(k=5)" ...

"ladder" has three stochastic layers that are maps, 32 latents at each of their positions and 64
channels, inferred from the top down; "conv" has one layer of 50 latents; "dense" is IWAE's network.
The rate falls to zero by a cosine over `--epochs`, so that a fit of fewer epochs is another fit.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
import optax
from comparison import save

import tightbound as tb

LATENT = {"ladder": 32, "conv": 50, "dense": 50}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits, or goes on; judges, prints and draws."""
    given = _parsed(arguments)
    ds = tb.data.load(given.data)
    model, q = tb.autoencoder(ds, **_sizes(given), key=given.key)
    validation = ds.validation if len(ds.validation) else ds.train[: len(ds.test)]
    steps = given.epochs * (len(ds.train) // given.batch)
    run = tb.fit(
        model, q, ds.train, validation=validation[: given.validation], objective=given.objective,
        optimizer=optax.adam(optax.cosine_decay_schedule(given.rate, steps)), epochs=given.epochs,
        batch_size=given.batch, average=given.average, directory=given.directory,
        resume=given.directory is not None and given.directory.exists(), key=given.key,
    )  # fmt: skip
    hours = np.cumsum([record.seconds for record in run.history]) / 3600
    learned = eqx.filter((run.model, run.posterior), eqx.is_inexact_array)
    parameters = sum(array.size for array in jax.tree.leaves(learned))
    test = ds.test[: given.items]
    drawn = tb.evaluate(run.model, run.posterior, test, k=given.k, key=1)
    few = test[: given.annealed_items]
    how = {"temperatures": given.temperatures, "chains": given.chains, "key": 1}
    annealed = tb.evidence.annealed(run.model, few, start=run.posterior, **how)
    of_few = drawn.log_evidence[: given.annealed_items]
    gap = annealed.log_evidence - of_few
    row = {
        "network": given.network, "data": given.data, "objective": given.objective,
        "epochs": given.epochs, "hours": float(hours[-1]), "parameters": parameters,
        "items": len(test), "elbo": float(drawn.diagnostics["elbo"].mean()), "k": given.k,
        "log_p": drawn.mean, "stderr": drawn.stderr_data, "verdict": drawn.verdict,
        "annealed_items": len(few), "annealed": annealed.mean, "gap": float(gap.mean()),
        "gap_stderr": float(gap.std(ddof=1) / np.sqrt(len(gap))),
        "curve": [[float(h), float(r.validation_bound[0])]
                  for h, r in zip(hours, run.history, strict=True)],
    }  # fmt: skip
    with given.rows.open("a") as file:
        file.write(json.dumps(row) + "\n")
    print(f"{drawn.summary()}\n{annealed.summary()}")
    print("| network | objective | epochs | hours | parameters | -ELBO | NLL | AIS above it |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {given.network} | {given.objective} | {given.epochs} | {row['hours']:.2f} | "
        f"{parameters:,} | {-row['elbo']:.2f} | {-row['log_p']:.2f} ± {row['stderr']:.2f} | "
        f"{row['gap']:.2f} ± {row['gap_stderr']:.2f} |"
    )
    figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for line in given.rows.read_text().splitlines():
        of = json.loads(line)
        x, bound = np.array(of["curve"]).T
        axis.plot(x, -bound, label=f"{of['network']}, {of['data']}, {of['epochs']} epochs")
    axis.set(xlabel="hours of fitting", ylabel="-bound, validation, nats")
    axis.legend(fontsize=8)
    save(figure, given.out, "mnist_hours")


def _sizes(given: argparse.Namespace) -> dict[str, Any]:
    """The options of `tb.autoencoder`."""
    latent = given.latent or LATENT[given.network]
    if given.network != "ladder":
        return {"network": given.network, "latent": latent}
    three = {"latent": (latent,) * 3, "hidden": (given.channels,) * 3}
    return {"network": "ladder", "layers": 3, **three}


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", choices=LATENT)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--objective", default="elbo()")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--average", type=float, help="decay of averaged parameters, as 0.999")
    parser.add_argument("--channels", type=int, default=64, help="of the ladder")
    parser.add_argument("--latent", type=int, help="32 at each position of the ladder, or else 50")
    parser.add_argument("--directory", type=Path, help="of the checkpoint, which is gone on from")
    parser.add_argument("--validation", type=int, default=1000, help="images")
    parser.add_argument("--items", type=int, default=1000, help="test images")
    parser.add_argument("--k", type=int, default=1000)
    parser.add_argument("--annealed-items", type=int, default=50)
    parser.add_argument("--temperatures", type=int, default=500)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--rows", type=Path, default=Path("mnist_hours.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("pictures"))
    parser.add_argument("--key", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
