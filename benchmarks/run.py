"""`python -m benchmarks.run`: training steps and a likelihood, tightbound beside its peers."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.contestants import CONTESTANTS
from benchmarks.rounds import race
from benchmarks.sizes import Sizes
from benchmarks.table import machine, markdown, records


def main() -> None:
    """Times, prints the tables, and writes the records where `--json` says."""
    options = _options()
    sizes = Sizes()
    where = machine()
    tables, rows = [], []
    for task, title, units in (
        ("train", f"One training step, k = {sizes.k}, batch {sizes.batch}", options.steps),
        ("likelihood", f"The log-likelihood from {sizes.draws} draws", options.images),
        ("images", f"One training step by convolutions, batch {sizes.batch}", options.steps),
    ):
        entered = [c for c in CONTESTANTS if c.task == task and c.name in options.only]
        if task not in options.tasks:
            continue
        if entered:
            results = race(entered, sizes, units=units, rounds=options.rounds)
            rows += records(results)
            tables.append(f"## {title}\n\n{markdown(records(results))}")
    print(f"{_setting(sizes, where, options)}\n\n" + "\n\n".join(tables))
    if options.json:
        document = {"machine": where, "sizes": asdict(sizes), "rounds": options.rounds}
        document |= {"steps": options.steps, "images": options.images, "results": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    names = list(dict.fromkeys(contestant.name for contestant in CONTESTANTS))
    parser.add_argument("--rounds", type=_count, default=5, help="blocks of each contestant")
    parser.add_argument("--steps", type=_count, default=50, help="training steps in a block")
    parser.add_argument("--images", type=_count, default=20, help="images in a block")
    parser.add_argument("--only", default=",".join(names), help=f"some of {', '.join(names)}")
    tasks = list(dict.fromkeys(contestant.task for contestant in CONTESTANTS))
    parser.add_argument("--tasks", default=",".join(tasks), help=f"some of {', '.join(tasks)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records here too")
    options = parser.parse_args()
    for option, known in (("only", names), ("tasks", tasks)):
        given = getattr(options, option).split(",")
        if unknown := set(given) - set(known):
            parser.error(f"--{option} knows {', '.join(known)}; got {', '.join(sorted(unknown))}")
        setattr(options, option, given)
    return options


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a count of at least 1, got {value}")
    return value


def _setting(sizes: Sizes, where: dict, options: argparse.Namespace) -> str:
    widths = f"{sizes.observed}-{sizes.hidden}-{sizes.hidden}-{sizes.latent}"
    return (
        f"IWAE {widths}, tanh, Bernoulli, Adam {sizes.learning_rate}, float32 (by convolutions "
        f"{'-'.join(map(str, sizes.channels))} channels, {sizes.image_latent} latent, SiLU), "
        f"{sizes.items} synthetic binary data, {sizes.threads} threads; median of "
        f"{options.rounds} rounds of {options.steps} steps or {options.images} images. "
        f"{where['cpu']}, {where['cpus']} CPUs, Python {where['python']}, "
        f"load average at the start {where['load_average']:.1f}."
    )


if __name__ == "__main__":
    sys.exit(main())
