"""`python -m benchmarks.commits COMMIT`: this checkout beside another commit of it, by turns.

Each turn is a process of its own that fits the digits and evaluates them, with public names that
both have. Ratios are this checkout's time to the other's: of the medians, and of the best turns,
which one busy second moves less.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_EVALUATIONS = 4


def measure() -> dict[str, float]:
    """Seconds of an epoch of IWAE (k = 50, batches of 100), and of 100 evaluations (k = 2,000)."""
    import tightbound as tb

    ds = tb.data.load("digits")
    model, posterior = tb.autoencoder(ds, latent=50, hidden=(200, 200), key=0)
    objective = tb.objectives.iwae(k=50)
    run = tb.fit(
        model, posterior, ds.train, objective=objective, batch_size=100, epochs=12, progress=False
    )
    seconds = []
    for _ in range(_EVALUATIONS):
        began = time.perf_counter()
        tb.evaluate(run.model, run.posterior, ds.test[:100], k=2000, progress=False)
        seconds.append(time.perf_counter() - began)
    epochs = [record.seconds for record in run.history]
    # The first ones compile.
    return {"epoch": statistics.median(epochs[3:]), "evaluation": min(seconds[1:])}


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A folder with that commit."""
    git = ["git", "-C", str(_ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*git, "add", "--quiet", "--detach", folder, commit], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run([*git, "remove", "--force", folder], check=True)


def turn(source: Path) -> dict[str, float]:
    """One process with the package of a checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.commits", "--measure"],
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(source / "src")},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    """Prints a line a turn, and the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commits")
    parser.add_argument("commit", nargs="?", help="what to compare this checkout with")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure()))
        return
    if options.commit is None:
        parser.error("expected a commit")
    ours: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    with checked_out(options.commit) as other:
        for _ in range(options.rounds):
            for name, source, found in ((options.commit, other, theirs), ("here", _ROOT, ours)):
                found.append(turn(source))
                print(name, {what: round(s, 4) for what, s in found[-1].items()}, flush=True)
    for what in ours[0]:
        here, there = ([one[what] for one in turns] for turns in (ours, theirs))
        of_medians = statistics.median(here) / statistics.median(there)
        print(f"{what}: {of_medians:.3f} by medians, {min(here) / min(there):.3f} by best turns")


if __name__ == "__main__":
    main()
