"""Images of which a hundred have labels: M2, and M2 on the latent values of M1 (M1+M2).

M1 is an autoencoder that never sees a label, fitted once. For each draw of the labels, ten of each
class, M2 is fitted to a draw of M1's latent values of each image ("M1+M2"), and another M2 to the
images themselves ("M2"). All are judged on the test images: the error of Bayes' rule and of the
classifier q(y|x), -log p(y|x), the calibration error, and log p(x) with the label summed over.

    python examples/few_labels.py --data mnist --draws 10 --rows few_labels.jsonl

A line is written for each fit as it is done, and what the file has is not fitted again; the table
is of all lines that have these settings.

Reference: Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298, section 4.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optax
from comparison import interval

import tightbound as tb
from tightbound.recipes.labels import classes_of, with_few_labels

BINARIZED = {"binarize": "fixed:0"}
"""M1's latent values are of one binarisation of each image, and so are M2's images."""
K = 20
"""Draws of z for each label of a test image."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits what the file does not have, and prints the table."""
    given = _parsed(arguments)
    ds = tb.data.load(given.data)
    classes = classes_of(ds)
    wanted = [name for name in ("M1+M2", "M2") if name in given.only.split(",")]
    free = ("rows", "only", "draws")
    settings = {name: value for name, value in vars(given).items() if name not in free}
    settings["version"] = tb.__version__
    rows = _rows(given.rows)
    below: Any = None
    for name in wanted:
        for draw in range(given.draws):
            key = {"model": name, "draw": draw, **settings}
            if any(all(row[part] == key[part] for part in key) for row in rows):
                continue
            if name == "M1+M2" and below is None:
                below = _m1(ds, given)
            began = time.perf_counter()
            known = with_few_labels(ds, given.labels, draw).labels["train"]
            if name == "M1+M2":
                found = _stacked(ds, known, classes, draw, given, below)
            else:
                found = _alone(ds, known, classes, draw, given)
            row = key | found | {"seconds": time.perf_counter() - began}
            rows.append(row)
            with given.rows.open("a") as file:
                file.write(json.dumps(row) + "\n")
    print("| model | draws of labels | error, % | error of q(y given x), % | -log p(y given x) "
          "| calibration error | log p(x), nats | seconds a fit |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name in wanted:
        of = [row for row in rows if row["model"] == name]
        of = [row for row in of if all(row[part] == settings[part] for part in settings)]
        cells = [
            interval([100 * row["error"] for row in of], 2),
            interval([100 * row["error_proposed"] for row in of], 2),
            interval([row["nll"] for row in of], 3),
            interval([row["calibration"] for row in of], 3),
            interval([row["log_p"] for row in of], 2),
            f"{np.mean([row['seconds'] for row in of]):.0f}",
        ]
        print(f"| {name} | {len(of)} | {' | '.join(cells)} |")


def _m1(ds: tb.data.Dataset, given: argparse.Namespace) -> Any:
    """The autoencoder without labels, and of each image a draw and the mean of its z."""
    m1, q = tb.autoencoder(ds, latent=given.latent, hidden=(given.hidden, given.hidden), key=0)
    run = _fit(m1, q, tb.source(m1, ds.train, **BINARIZED), "elbo()", given.m1_epochs, given, 0)
    parts = {}
    for part, x in (("train", ds.train), ("test", ds.test[: given.items])):
        found = tb.tasks.embed(
            run.model, run.posterior, tb.source(m1, x, **BINARIZED), k=50, draws=1
        )
        parts[part] = found.draws[0], found.codes
    return run, parts


def _stacked(
    ds: tb.data.Dataset, known: Any, classes: int, draw: int, given: argparse.Namespace, below: Any
) -> dict[str, float]:
    """M2 on M1's latent values; log p(x) of both as one model."""
    run, parts = below
    drawn, _ = parts["train"]
    m2, q = tb.models.labelled(
        drawn, classes, latent=given.latent, hidden=(given.hidden,), likelihood="gaussian", key=draw
    )
    source = tb.source(m2, drawn, labels=known)
    fit = _fit(m2, q, source, f"m2(alpha={given.alpha})", given.epochs, given, draw)
    both = tb.models.stacked((run.model, run.posterior), (fit.model, fit.posterior))
    _, means = parts["test"]
    return _judged(ds, fit, means, both, given)


def _alone(
    ds: tb.data.Dataset, known: Any, classes: int, draw: int, given: argparse.Namespace
) -> dict[str, float]:
    """M2 on the images."""
    m2, q = tb.models.labelled(
        ds, classes, latent=given.latent, hidden=(given.hidden, given.hidden), key=draw
    )
    source = tb.source(m2, ds.train, labels=known, **BINARIZED)
    fit = _fit(m2, q, source, f"m2(alpha={given.alpha})", given.epochs, given, draw)
    test = tb.source(m2, ds.test[: given.items], **BINARIZED)
    return _judged(ds, fit, test, (fit.model, fit.posterior), given)


def _fit(
    model: Any,
    q: Any,
    source: Any,
    objective: str,
    epochs: int,
    given: argparse.Namespace,
    key: int,
) -> tb.Run:
    steps = epochs * (len(source) // given.batch)
    rate = optax.cosine_decay_schedule(given.rate, steps)
    return tb.fit(
        model, q, source, objective=objective, optimizer=optax.adam(rate), epochs=epochs,
        batch_size=given.batch, key=key,
    )  # fmt: skip


def _judged(
    ds: tb.data.Dataset, fit: tb.Run, seen: Any, both: Any, given: argparse.Namespace
) -> dict[str, float]:
    """Labels by what the labelled model sees, and log p(x) of the images."""
    true = ds.labels["test"][: given.items]
    found = tb.tasks.classify(fit.model, fit.posterior, seen, k=K, key=1)
    of, proposed = found.accuracy(true), found.accuracy_proposed(true)
    x = tb.source(both[0], ds.test[: given.evidence_items], **BINARIZED)
    return {
        "error": of.error,
        "nll": of.nll,
        "calibration": of.calibration_error,
        "error_proposed": proposed.error,
        "log_p": tb.evaluate(*both, x, k=given.k, key=2).mean,
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default="digits", help="a named set with labels")
    parser.add_argument("--rows", type=Path, default=Path("few_labels.jsonl"))
    parser.add_argument("--only", default="M1+M2,M2")
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--draws", type=int, default=10, help="draws of the labels")
    parser.add_argument("--latent", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=200)
    parser.add_argument("--m1-epochs", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--alpha", type=float, default=0.1)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--items", type=int, default=10_000, help="test images to classify")
    parser.add_argument("--evidence-items", type=int, default=200, help="and to estimate log p of")
    parser.add_argument("--k", type=int, default=1000)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
