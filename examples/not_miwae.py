"""Values missing because they are high: table 1 of not-MIWAE, with and without a model of the mask.

In the first half of a table's columns every value above the column's mean is deleted; what is left
is all that a fit sees, and the error is that over the deleted cells, in standard deviations of the
whole columns. Fits and scores the same rows, as the paper does.

    python examples/not_miwae.py banknote --sign high_missing --censored --steps 20000

Tables are files of `$TIGHTBOUND_DATA/uci`, and yeast that of `adbench`. Prints a row of markdown
for each set, with seconds.

Reference: Ipsen, Mattei & Frellsen 2021, arXiv 2006.12871, table 1.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optax

import tightbound as tb
from tightbound.tasks import predictive

FILES = {
    "banknote": "banknote_authentication.csv",
    "concrete": "concrete.txt",
    "red": "winequality-red.csv",
    "white": "winequality-white.csv",
    "yeast": "yeast.npz",
    "breast": "wdbc.data",
}


def table(name: str) -> np.ndarray:
    """The features of a set, without target and number of the row, standardised."""
    root = Path(os.environ["TIGHTBOUND_DATA"])
    if name == "yeast":  # columns by columns as published, in other units
        with np.load(root / "adbench" / FILES[name], allow_pickle=False) as file:
            return _standardised(file["X"])
    path = root / "uci" / FILES[name]
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = [line.replace(";", " ").replace(",", " ").replace("\t", " ").split() for line in lines]
    if name == "breast":  # a number and the diagnosis come first
        cells = [row[2:] + ["target"] for row in cells]
    rows = [row[:-1] for row in cells if row and _is_number(row[0])]
    return _standardised(np.array(rows, np.float64))


def _standardised(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def with_high_values_deleted(x: np.ndarray) -> np.ndarray:
    """NaN where a value of the first floor(d / 2) columns is above its column's mean."""
    half = np.arange(x.shape[1]) < x.shape[1] // 2
    return np.where(half & (x > x.mean(axis=0)), np.nan, x).astype(np.float32)


def rmse(options: argparse.Namespace, x: np.ndarray, seed: int) -> tuple[float, str]:
    """The error over the deleted cells, and what the learned scale and slopes are."""
    holed = with_high_values_deleted(x)
    n, d = x.shape
    linear = options.decoder == "linear"
    parts = tb.autoencoder(
        holed,
        latent=d - 1,
        hidden=(128, 128),
        likelihood="gaussian_scalar" if linear else "gaussian",
        decoder=(lambda z: z) if linear else None,
        key=seed,
    )
    if options.kind != "none":
        beyond = holed if options.censored else None
        parts = tb.models.missingness(
            *parts, kind=options.kind, sign=options.sign, censored=beyond, key=seed
        )
    epochs = max(1, round(options.steps * options.batch / n))
    run = tb.fit(
        *parts,
        holed,
        objective=f"iwae(k={options.k}{options.gradient})",
        optimizer=optax.adam(optax.cosine_decay_schedule(options.rate, options.steps)),
        batch_size=options.batch,
        epochs=epochs,
        key=seed,
    )
    found = predictive(run.model, run.posterior, holed, k=options.draws, draws=1, key=seed)
    away = (found.mean - x)[np.isnan(holed)]
    mask = getattr(run.model.likelihood, "mask", None)
    slopes = "" if not hasattr(mask, "slopes") else f"; w = {np.round(mask.slopes, 1)[: d // 2]}"
    return float(np.sqrt(np.mean(away**2))), f"median ESS {np.median(found.ess):.0f}{slopes}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a row for each set, and what each fit found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="+", choices=FILES)
    parser.add_argument("--kind", default="self_masking", help="of the mask, or none: MIWAE")
    parser.add_argument("--sign", default="unknown")
    parser.add_argument(
        "--censored", action="store_true", help="steep slopes at first, at the highest values"
    )
    parser.add_argument("--decoder", choices=("linear", "network"), default="linear")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--draws", type=int, default=10_000, help="of z for each row")
    parser.add_argument("--dreg", action="store_true", help="doubly reparameterised gradients")
    options = parser.parse_args(arguments)
    options.gradient = ",gradient='dreg'" if options.dreg else ""
    print("| set | mask | sign | censored | decoder | steps | RMSE | seconds a fit |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.names:
        x, start = table(name), time.perf_counter()
        found = [rmse(options, x, seed) for seed in range(options.seeds)]
        seconds = (time.perf_counter() - start) / options.seeds
        errors = [error for error, _ in found]
        spread = f" ± {np.std(errors, ddof=1):.2f}" if len(errors) > 1 else ""
        steep = "yes" if options.censored else "no"
        words = (name, options.kind, options.sign, steep, options.decoder, options.steps)
        print(f"| {' | '.join(map(str, words))} | {np.mean(errors):.2f}{spread} | {seconds:.0f} |")
        for seed, (error, notes) in enumerate(found):
            print(f"seed {seed}: {error:.3f}; {notes}", flush=True)


if __name__ == "__main__":
    main()
