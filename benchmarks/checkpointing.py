"""`python -m benchmarks.checkpointing`: what checkpoints cost a run, as a share of its time.

The digits are fitted with and without a directory, in turn. The share is the time that the run
accounts to checkpoints over the time of the call; the difference of the two calls is a check from
outside, as noisy as the machine.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import tightbound as tb


class Cost(NamedTuple):
    """Seconds of one pair of runs."""

    without: float
    with_directory: float
    on_checkpoints: float
    checkpoint_bytes: int

    @property
    def share(self) -> float:
        """Part of the run's time that went into checkpoints."""
        return self.on_checkpoints / self.with_directory


def measure(epochs: int) -> Cost:
    """Fits the same model twice, the second time with checkpoints."""
    without, _ = _fit(epochs, None)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "run"
        seconds, run = _fit(epochs, directory)
        size = sum(path.stat().st_size for path in directory.rglob("*.safetensors"))
    return Cost(without, seconds, run.seconds_checkpoints, size)


def main() -> None:
    """Prints a line a round and the median share."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpointing")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs")
    parser.add_argument("--epochs", type=int, default=50, help="epochs of each run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records here too")
    options = parser.parse_args()
    costs = []
    for _ in range(options.rounds):
        costs.append(measure(options.epochs))
        print(_line(costs[-1]), flush=True)
    share = statistics.median(cost.share for cost in costs)
    print(f"median share of {options.epochs} epochs spent on checkpoints: {100 * share:.2f} %")
    if options.json:
        rounds = [cost._asdict() | {"share": cost.share} for cost in costs]
        document = {"epochs": options.epochs, "share": share, "rounds": rounds}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _fit(epochs: int, directory: Path | None) -> tuple[float, tb.Run]:
    digits = tb.data.load("digits")
    model, posterior = tb.autoencoder(digits)
    objective = tb.objectives.iwae(k=50)
    began = time.perf_counter()
    run = tb.fit(
        model,
        posterior,
        digits.train,
        objective=objective,
        epochs=epochs,
        directory=directory,
        progress=False,
    )
    return time.perf_counter() - began, run


def _line(cost: Cost) -> str:
    return (
        f"without {cost.without:.2f} s, with {cost.with_directory:.2f} s, of which "
        f"{cost.on_checkpoints:.3f} s ({100 * cost.share:.2f} %) on checkpoints of "
        f"{cost.checkpoint_bytes / 2**20:.1f} MiB"
    )


if __name__ == "__main__":
    main()
