"""Rows as Markdown: means over seeds, paired differences to ours, and where we lose.

A mean is followed by its standard error over seeds. Two contestants are tied where the mean of
their differences, seed by seed, is within two of its standard errors of 0. With one seed there is
no error, and a tie is an equal number.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.tables.contestants import CONTESTANTS, OURS
from benchmarks.tables.question import Measure, Question
from benchmarks.tables.race import ANSWERED, Row

TIED = 2.0
"""Standard errors of a paired difference."""
AVERAGE = "mean of all"

WHO = ["contestant", "versions", "answered", "what it computes"]

Values = Mapping[int, float]
"""One contestant's numbers in one problem, by seed."""


def markdown(question: Question, rows: Sequence[Row]) -> str:
    """For each setting and measure a table of means; of those that have a better way, differences.

    Of a contestant with rows of several versions, the last one in the file counts.
    """
    rows = _latest([row for row in rows if row["question"] == question.name])
    present = {row["contestant"] for row in rows}
    names = [c.name for c in CONTESTANTS if c.name in present]
    parts = [question.words, _table(WHO, _who(rows))]
    for setting in question.settings:
        for measure in question.measures:
            some = [row for row in rows if row["setting"] == setting]
            if any(_number(row, measure) is not None for row in some):
                parts += _measured(question, measure, setting, some, names)
    return "\n\n".join(parts)


def _who(rows: Sequence[Row]) -> list[list[str]]:
    """A line for each contestant; of what went wrong the first reason."""
    lines = []
    for contestant in CONTESTANTS:
        some = [row for row in rows if row["contestant"] == contestant.name]
        if some:
            wrong = [row["status"] for row in some if row["status"] != ANSWERED]
            reason = f" ({wrong[0]})".replace("|", "/") if wrong else ""
            answered = f"{len(some) - len(wrong)} of {len(some)}{reason}"
            lines.append([contestant.name, some[0]["version"], answered, contestant.computes])
    return lines


def _measured(
    question: Question, measure: Measure, setting: str, rows: Sequence[Row], names: list[str]
) -> Iterator[str]:
    of = {
        problem: {name: _values(rows, problem, name, measure) for name in names}
        for problem in question.problems
    }
    of = {problem: values for problem, values in of.items() if any(values.values())}
    names = [name for name in names if any(values[name] for values in of.values())]
    if measure.averaged:
        of[AVERAGE] = {name: _average([values[name] for values in of.values()]) for name in names}
    title = measure.words + (f", {setting}" if setting else "")
    lines = [
        [problem, *(_cell(rows, problem, name, of[problem], measure) for name in names)]
        for problem in of
    ]
    yield f"**{title}**"
    yield _table(["problem", *names], lines)
    if measure.better and OURS in names and len(names) > 1:
        yield from _against_ours(of, names, measure, setting)


def _against_ours(
    of: Mapping[str, Mapping[str, Values]], names: list[str], measure: Measure, setting: str
) -> Iterator[str]:
    title = measure.name + (f", {setting}" if setting else "")
    others = [name for name in names if name != OURS]
    compared = {
        problem: {
            name: found
            for name in others
            if (found := difference(values[name], values[OURS])) is not None
        }
        for problem, values in of.items()
    }
    lines = [
        [problem, *(_signed(differences.get(name), measure) for name in others)]
        for problem, differences in compared.items()
    ]
    yield f"{title}: the other less {OURS}, paired by seed"
    yield _table(["problem", *others], lines)
    lost = {
        problem: [name for name, found in differences.items() if _better(found, measure)]
        for problem, differences in compared.items()
        if differences
    }
    single = [problem for problem in lost if problem != AVERAGE]
    won = sum(not lost[problem] for problem in single)
    yield f"{title}: {OURS} is the best or tied on {won} of {len(single)}." + "".join(
        f" On {problem} better: {', '.join(who)}." for problem, who in lost.items() if who
    )


def difference(theirs: Values, ours: Values) -> tuple[float, float | None] | None:
    """The mean of theirs less ours over the seeds of both, and its standard error."""
    common = [theirs[seed] - ours[seed] for seed in theirs if seed in ours]
    return _mean(common)


def _better(found: tuple[float, float | None], measure: Measure) -> bool:
    """Whether a difference is beyond two standard errors in the better direction."""
    mean, error = found
    gain = mean if measure.better == "high" else -mean
    return gain > TIED * (error or 0.0)


def _mean(values: Sequence[float]) -> tuple[float, float | None] | None:
    if not values:
        return None
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return statistics.fmean(values), error


def _average(each: Sequence[Values]) -> Values:
    """The mean over problems, of the seeds that all of them have."""
    seeds = set.intersection(*(set(values) for values in each))
    return {seed: statistics.fmean(values[seed] for values in each) for seed in sorted(seeds)}


def _cell(
    rows: Sequence[Row], problem: str, name: str, of: Mapping[str, Values], measure: Measure
) -> str:
    """Mean ± standard error; bold where it is the best or tied; "-" for what it does not have."""
    values = of[name]
    if (found := _mean(list(values.values()))) is None:
        failed = [
            row["status"]
            for row in rows
            if (row["problem"], row["contestant"]) == (problem, name) and row["status"] != ANSWERED
        ]
        return failed[0].replace("|", "/") if failed else "-"
    text = _shown(found, measure)
    if measure.better and not any(
        _better(against, measure)
        for other in of.values()
        if (against := difference(other, values)) is not None
    ):
        text = f"**{text}**"
    most = max(map(len, of.values()))
    return text if len(values) == most else f"{text} ({len(values)} of {most} seeds)"


def _shown(found: tuple[float, float | None], measure: Measure) -> str:
    mean, error = found
    plain = f"{mean:.{measure.digits}f}"
    return plain if error is None else f"{plain} ± {error:.{measure.digits}f}"


def _signed(found: tuple[float, float | None] | None, measure: Measure) -> str:
    if found is None:
        return "-"
    return ("+" if found[0] >= 0 else "") + _shown(found, measure)


def _values(rows: Sequence[Row], problem: str, name: str, measure: Measure) -> Values:
    return {
        row["seed"]: number
        for row in rows
        if (row["problem"], row["contestant"]) == (problem, name)
        and (number := _number(row, measure)) is not None
    }


def _number(row: Row, measure: Measure) -> float | None:
    return row.get(measure.name) if row["status"] == ANSWERED else None


def _latest(rows: Sequence[Row]) -> list[Row]:
    last = {row["contestant"]: row["version"] for row in rows}
    return [row for row in rows if row["version"] == last[row["contestant"]]]


def _table(head: list[str], lines: Sequence[list[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)
    )
