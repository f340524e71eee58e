"""Objectives side by side at equal cost: MNIST, several seeds, one table.

The network of Burda et al. (784-200-200-50, tanh), their split and dynamic binarisation. Every
objective has the same number of draws per datum and the same number of passes through the network,
which `python -m benchmarks.objectives` shows to be what a step costs; Muon with cosine decay.
Finished runs are kept in the file of results and not repeated. Columns as in Rainforth et al.
(2018, arXiv 1802.04537): IWAE-64, the 5,000-sample likelihood, and their difference, an estimate of
-KL(Q || P).

python examples/mnist_objectives.py --epochs 4 --seeds 3 --out objectives.jsonl
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from comparison import interval

import tightbound as tb
from tightbound.objectives.registry import parse
from tightbound.training.optimizers import muon, schedule_by_name

BATCH = 100
RATE = 0.02


def calls(draws: int) -> list[str]:
    """The objectives, each with that many draws; m and k as equal as can be."""
    k = max(k for k in range(1, draws + 1) if draws % k == 0 and k * k <= draws)
    m = draws // k
    return [
        f"iwae({draws})",
        f"iwae({draws}, 'dreg')",
        f"iwae({draws}, 'stl')",
        f"piwae({m}, {k})",
        f"miwae({m}, {k})",
        f"ciwae({draws}, 0.5)",
        f"vr({draws}, 0.5)",
        f"jvi({draws}, 1)",
        f"rws({draws})",
        f"elbo(samples={draws})",
    ]


def fit(call: str, train: np.ndarray, epochs: int, seed: int, options: Any) -> tb.Run:
    """One run."""
    model, posterior = tb.autoencoder(
        train, latent=options.latent, hidden=(options.hidden,) * 2, key=seed
    )
    steps = len(train) // BATCH
    return tb.fit(
        model,
        posterior,
        train,
        objective=parse(call),
        optimizer=muon(schedule_by_name("cosine", RATE, steps_per_epoch=steps, epochs=epochs)),
        batch_size=BATCH,
        epochs=epochs,
        key=seed,
        binarize="dynamic",
    )


def measured(call: str, seed: int, epochs: int, ds: Any, options: Any) -> dict[str, Any]:
    """Fits and judges one run."""
    began = time.process_time()
    run = fit(call, ds.train, epochs, seed, options)
    spent = time.process_time() - began
    test = ds.test[: options.items]
    whole = tb.evaluate(run.model, run.posterior, test, k=options.k, binarize="dynamic")
    at_64 = tb.evaluate(run.model, run.posterior, test, k=64, key=1, binarize="dynamic")
    units = tb.diagnostics.active_units(run.model, run.posterior, ds.train[:500])
    return {
        "objective": call,
        "seed": seed,
        "epochs": epochs,
        "processor_seconds": spent,
        "log_likelihood": whole.mean,
        "stderr_data": whole.stderr_data,
        "iwae_64": at_64.mean,
        "active": units[0].active,
        "verdict": whole.verdict,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Means over the seeds with 95 % intervals (Student's t)."""
    lines = [
        "| objective | epochs | processor s | NLL(5000) | IWAE-64 | difference | active units |",
        "|---|---|---|---|---|---|---|",
    ]
    for call in dict.fromkeys(row["objective"] for row in rows):
        own = [row for row in rows if row["objective"] == call]
        lines.append(
            f"| `{call}` | {own[0]['epochs']} | "
            f"{np.mean([row['processor_seconds'] for row in own]):.0f} | "
            f"{interval([-row['log_likelihood'] for row in own])} | "
            f"{interval([row['iwae_64'] for row in own])} | "
            f"{interval([row['iwae_64'] - row['log_likelihood'] for row in own])} | "
            f"{interval([row['active'] for row in own], 0)} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Runs what has not been run, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--split", default="iwae")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of each run")
    parser.add_argument("--draws", type=int, default=16, help="draws per datum of each objective")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=200, help="width of both hidden layers")
    parser.add_argument("--items", type=int, default=500, help="test images that are judged")
    parser.add_argument("--k", type=int, default=5000, help="draws per image of the likelihood")
    parser.add_argument("--only", help="objectives out of the table, split by ';'")
    parser.add_argument("--out", type=Path, default=Path("objectives.jsonl"))
    options = parser.parse_args(arguments)
    ds = tb.data.load(options.data, split=options.split)
    rows = []
    if options.out.exists():
        rows = [json.loads(line) for line in options.out.read_text().splitlines()]
    done = {(row["objective"], row["seed"]) for row in rows}
    names = calls(options.draws) if options.only is None else options.only.split(";")
    for seed in range(options.seeds):
        for call in names:
            if (call, seed) in done:
                continue
            rows.append(measured(call, seed, options.epochs, ds, options))
            with options.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
            print(json.dumps(rows[-1]), flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
