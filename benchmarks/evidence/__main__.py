"""`python -m benchmarks.evidence`: evidence by defaults, ours and others', beside exact values."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.evidence.contestants import CONTESTANTS
from benchmarks.evidence.picture import picture
from benchmarks.evidence.problems import HELD, PROBLEMS, TUNED
from benchmarks.evidence.race import race
from benchmarks.evidence.table import markdown
from benchmarks.table import machine

GROUPS = {"all": list(PROBLEMS), "tuned": TUNED, "held": HELD}


def main(arguments: list[str] | None = None) -> None:
    """Prints the tables; writes rows and picture where the options say, after each answer."""
    options = _options(arguments)
    rows: list[dict[str, Any]] = []
    document = {"machine": machine(), "limit_seconds": options.limit_seconds, "rows": rows}
    contestants = [c for c in CONTESTANTS if c.name in options.only]
    problems = [PROBLEMS[name] for name in options.targets]
    for row in race(contestants, problems, range(options.keys), options.limit_seconds):
        rows.append(row)
        _say(row)
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(markdown(rows))
    if options.picture:
        options.picture.write_bytes(picture(rows))


def _say(row: dict[str, Any]) -> None:
    off = "" if row["off"] is None else f", {row['off']:+.3f} nats in {row['seconds']:.0f} s"
    print(f"{row['contestant']} {row['problem']}: {row['status']}{off}", file=sys.stderr)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=__doc__)
    names = [contestant.name for contestant in CONTESTANTS]
    parser.add_argument("--only", default=",".join(names), help=f"some of {', '.join(names)}")
    parser.add_argument(
        "--targets", default="all", help="all, tuned, held, or names with commas between"
    )
    parser.add_argument(
        "--limit-seconds", type=float, default=120.0, help="for one answer; %(default)g"
    )
    parser.add_argument("--keys", type=int, default=1, help="seeds for each; %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="a PNG of errors and costs")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    options.targets = GROUPS.get(options.targets) or options.targets.split(",")
    for option, given, known in (
        ("--only", options.only, names),
        ("--targets", options.targets, list(PROBLEMS)),
    ):
        if unknown := set(given) - set(known):
            parser.error(f"{option} knows {', '.join(known)}; got {', '.join(sorted(unknown))}")
    if options.keys < 1 or not options.limit_seconds > 0:
        parser.error("expected --keys of at least 1 and --limit-seconds above 0")
    return options


if __name__ == "__main__":
    main()
