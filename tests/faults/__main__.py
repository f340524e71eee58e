"""The suite: `python -m tests.faults --out faults.json`; see `docs/runs.md`."""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from tests.faults.classes import CLASSES
from tests.faults.core import Tally, table, tally


def main() -> int:
    """Makes all tries, prints the table, and gives 1 if one was lost."""
    parser = argparse.ArgumentParser("python -m tests.faults", description=__doc__)
    parser.add_argument("--out", type=Path, help="a file for the counts and failures, JSON")
    parser.add_argument("--only", help=f"classes out of {','.join(CLASSES)}")
    parser.add_argument("--scale", type=float, default=1.0, help="times the tries of each class")
    parser.add_argument("--tries", type=int, help="tries of each class")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--number", type=int, help="this try alone, to make a failure again")
    given = parser.parse_args()
    tallies: list[Tally] = []
    for name in given.only.split(",") if given.only else CLASSES:
        faults, share = CLASSES[name]
        tries = max(1, round(share * given.scale)) if given.tries is None else given.tries
        numbers = range(tries) if given.number is None else [given.number]
        began = time.monotonic()
        found = tally(name, faults, numbers, given.seed)
        tallies.append(found)
        lost = found.lost.total()
        print(f"{name}: {tries} tried, {lost} lost, {time.monotonic() - began:.0f} s", flush=True)
        for failure in found.failures:
            print(f"  {name} {failure.number}, {failure.kind}: {failure.how}", flush=True)
    if given.out is not None:
        record = {"seed": given.seed, "classes": [found.as_json() for found in tallies]}
        given.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(tallies))
    return int(any(found.lost for found in tallies))


if __name__ == "__main__":
    raise SystemExit(main())
