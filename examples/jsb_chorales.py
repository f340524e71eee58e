"""Bach's chorales by a deep Markov model and a variational recurrent network, in nats per step.

Fits one model and judges it on the test part, by the parameters of the best epoch on the validation
part: by the ELBO, by the filtering bound with 16 particles, which is FIVO's own number, and by
several filters with more of them, the tightest lower bound here.

    python examples/jsb_chorales.py vrnn --objective "fivo(k=4)" --posterior st_l --epochs 80

Prints the steps of each part, since papers differ in theirs, and a row of markdown.

Reference: Krishnan, Shalit & Sontag 2017, arXiv 1609.09869; Chung et al. 2015, arXiv 1506.02216;
Maddison et al. 2017, arXiv 1705.09279.
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence

import tightbound as tb

PARTS = ("train", "validation", "test")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits and judges one model."""
    given = _parsed(arguments)
    ds = tb.data.load("jsb_chorales")
    if given.items is not None:
        few = {part: getattr(ds, part)[: given.items] for part in PARTS}
        ds = dataclasses.replace(ds, **few)
    for part in PARTS:
        lengths = ds.lengths(part)
        print(f"{part}: {len(lengths)} chorales, {lengths.sum():,} steps (quarter notes)")
    model, q = tb.sequence_model(
        ds, kind=given.kind, latent=given.latent, hidden=given.hidden, posterior=given.posterior,
        key=given.key,
    )  # fmt: skip
    start = time.perf_counter()
    run = tb.fit(
        model, q, ds.train, validation=ds.validation, objective=given.objective,
        optimizer=f"adam(learning_rate={given.rate})", batch_size=given.batch_size,
        epochs=given.epochs, early_stopping=given.patience, directory=given.directory,
        resume=given.resume, key=given.key,
    )  # fmt: skip
    minutes = (time.perf_counter() - start) / 60
    of_step = len(ds.validation) / ds.lengths("validation").sum()
    best = max(range(len(run.history)), key=lambda i: run.history[i].validation_bound[0])
    bound = -run.history[best].validation_bound[0] * of_step
    print(
        f"best of {len(run.history)} epochs: {best}, {bound:.3f} nats per step, {minutes:.1f} min"
    )
    test = {"key": given.key, "batch_size": 4}
    parts = run.model, run.posterior, ds.test
    weighed = tb.evaluate(*parts, k=given.k, **test)
    steps = ds.lengths("test").sum()
    elbo = -weighed.diagnostics["elbo"].mean() * len(ds.test) / steps
    by = {
        "16 particles": tb.evidence.ParticleFilter(particles=16, filters=1),
        "filters": tb.evidence.ParticleFilter(particles=given.particles, filters=4),
    }
    found = {name: tb.evaluate(*parts, by=of, **test) for name, of in by.items()}
    cells = [f"{elbo:.3f}", f"{-weighed.per_step:.3f}"]
    cells += [f"{-of.per_step:.3f} ± {of.stderr_per_step:.3f}" for of in found.values()]
    print(f"| model | ELBO | k = {given.k} | FIVO, 16 | 4 filters, {given.particles} |")
    print(f"| {given.kind}, {given.posterior}, {given.objective} | {' | '.join(cells)} |")


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("deep_markov", "vrnn"))
    parser.add_argument("--objective", default="elbo()")
    parser.add_argument("--posterior", default="st_r")
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--patience", type=int, default=30, help="epochs without a better one")
    parser.add_argument("--directory", help="where checkpoints are kept")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--k", type=int, default=100, help="draws of z for the ELBO")
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--items", type=int, help="only the first so many chorales of each part")
    parser.add_argument("--key", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
