"""`python -m benchmarks.tables QUESTION`: tables with holes, outliers and densities, raced."""

import argparse
import sys
from pathlib import Path

from benchmarks.tables.contestants import asked
from benchmarks.tables.questions import QUESTIONS
from benchmarks.tables.race import ANSWERED, Row, race, rows_in
from benchmarks.tables.table import markdown


def main(arguments: list[str] | None = None) -> None:
    """Appends rows to the file, or prints the tables of those that it has."""
    options = _options(arguments)
    question, path = QUESTIONS[options.question], options.rows
    if options.markdown:
        print(markdown(question, rows_in(path)))
        return
    contestants = [c for c in asked(question.name) if c.name in options.only]
    tasks = question.tasks(options.problems, options.settings, options.seeds)
    for row in race(question, contestants, tasks, options.limit_seconds, path):
        _say(question.measures[0].name, row)


def _say(measure: str, row: Row) -> None:
    said = row["status"]
    if said == ANSWERED and row[measure] is not None:
        said = f"{measure} {row[measure]:.3f} in {row['seconds']:.1f} s"
    where = " ".join(str(row[name]) for name in ("problem", "setting", "seed") if row[name] != "")
    print(f"{row['contestant']}, {where}: {said}", file=sys.stderr, flush=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__)
    parser.add_argument("question", choices=QUESTIONS, help="which of the tables")
    parser.add_argument(
        "--rows",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help="where rows are kept; what it has already is not asked again",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the tables of the file, and race nobody"
    )
    for option, words in (
        ("--only", "contestants"),
        ("--problems", "problems"),
        ("--settings", "settings of the problems, such as rates of holes"),
    ):
        parser.add_argument(option, help=f"some of the {words}, with commas between")
    parser.add_argument("--seeds", type=int, help="at most so many; the question's own number")
    parser.add_argument(
        "--limit-seconds", type=float, default=3600.0, help="for one answer; %(default)g"
    )
    options = parser.parse_args(arguments)
    question = QUESTIONS[options.question]
    for option, known in (
        ("only", [contestant.name for contestant in asked(question.name)]),
        ("problems", list(question.problems)),
        ("settings", list(question.settings)),
    ):
        given = getattr(options, option)
        chosen = known if given is None else given.split(",")
        if unknown := set(chosen) - set(known):
            parser.error(f"--{option} knows {', '.join(known)}; got {', '.join(sorted(unknown))}")
        setattr(options, option, chosen)
    if (options.seeds is not None and options.seeds < 1) or not options.limit_seconds > 0:
        parser.error("expected --seeds of at least 1 and --limit-seconds above 0")
    return options


if __name__ == "__main__":
    main()
