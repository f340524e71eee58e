"""The report as one HTML page: no script, no request, everything from the records escaped."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from tightbound.report.baselines import baseline_rows, losses
from tightbound.report.choice import COLUMNS as CANDIDATE_COLUMNS
from tightbound.report.choice import candidate_rows, notes, verdict_on_deep
from tightbound.report.corrected import ladder_rows
from tightbound.report.curves import finite_mean
from tightbound.report.evaluations import EVALUATIONS
from tightbound.report.exhibit import NO_POSTERIOR, Exhibit, Needless, Shown
from tightbound.report.headline import (
    EVALUATION_COLUMNS,
    SEED_COLUMNS,
    Headline,
    active_units,
    draws_rows,
    error_bars,
    evaluation_rows,
    headline,
    interval_text,
    scale_rows,
    seed_rows,
)
from tightbound.report.imputation import LEVELS, NUMBERS, imputation_rows, imputation_words
from tightbound.report.provenance import commands, data_rows, missing, run_rows
from tightbound.report.records import Records
from tightbound.report.summary import bound_name, objective
from tightbound.report.text import count, number, plain, tone


def page(records: Records, shown: list[Shown]) -> str:
    """The whole document; it embeds every figure and can be mailed as one file."""
    style = files("tightbound.report").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(records.name)} · tightbound report</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            "<main>",
            _title(records),
            _hero(records),
            _judged(records),
            _missing(records, shown),
            _needless(shown),
            _figures(shown),
            _imputation(records),
            _seeds(headline(records)),
            _evaluations(records),
            _tables(records),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _title(records: Records) -> str:
    data = plain(records.data.get("name") or records.config.get("data", ""))
    return (
        f"<header><h1>{escape(records.name)}</h1>"
        f"<p><code>{escape(objective(records))}</code> on {escape(data or 'unnamed data')}</p>"
        "</header>"
    )


def _hero(records: Records) -> str:
    found = headline(records)
    units = "".join(
        f"<div><dt>{escape(name)}: active units</dt><dd>{count(active)}"
        f"<small> of {count(total)}</small></dd></div>"
        for name, active, total in active_units(records)
    )
    units = f'<dl class="units">{units}</dl>' if units else ""
    if found is None:
        return f'<section class="card hero"><div>{_not_evaluated(records)}{units}</div></section>'
    return (
        f'<section class="card hero"><div>{_evaluated(found)}{units}</div>'
        f"<div>{_definitions(_forms(records, found))}</div></section>"
    )


def _evaluated(found: Headline) -> str:
    bars = error_bars(found)
    # One seed has no interval over seeds: the sampling of the items is then its largest error.
    kind, size = bars[0] if interval_text(found) else bars[1]
    interval = f'<p class="interval">{escape(size)} <small>{escape(kind)}</small></p>'
    return (
        f"<h2>{escape(found.split.capitalize())} log-likelihood</h2>"
        f'<p class="figure">{number(found.value)}<small> {escape(found.unit)} per item</small></p>'
        f'{interval}<div class="verdict {tone(found.verdict)}">'
        f"<strong>{escape(found.verdict)}</strong><p>{escape(found.reason)}</p></div>"
    )


def _forms(records: Records, found: Headline) -> list[tuple[str, str]]:
    return [
        ("Negative (NLL)", f"{number(-found.value)} {found.unit} per item, lower is better"),
        *((name.capitalize(), value) for name, value in scale_rows(records, found)),
        *(
            (f"Baseline, {name}", value)
            for name, value in baseline_rows(found.baselines, found.unit)
        ),
        *([("Baselines", found.about_baselines)] if found.about_baselines else []),
        *((f"Error, {source}", size) for source, size in error_bars(found)),
        ("Direction", found.direction),
        *((name.capitalize(), text) for name, text in ladder_rows(found.ladder, found.unit)),
        ("Split", f"{found.split}, {count(found.n)} items"),
        ("Binarisation", found.binarisation),
        *((name.capitalize(), text) for name, text in draws_rows(found)),
        ("Seeds", count(len(found.seeds))),
        ("Model", f"after epoch {plain(records.evaluation.get('epoch', 'unknown'))}"),
    ]


def _not_evaluated(records: Records) -> str:
    last = finite_mean(records.history.train[-1:], axis=1)[0]
    epoch = count(float(records.history.epoch[-1]))
    return (
        f"<h2>Training {escape(bound_name(records))}, epoch {epoch}</h2>"
        f'<p class="figure">{number(float(last))}<small> nats per item</small></p>'
        '<div class="verdict idle"><strong>not evaluated</strong><p>This is the objective on the '
        "training data, not a test log-likelihood. To get one: "
        f"<code>{escape(records.command(EVALUATIONS))}</code></p></div>"
    )


def _missing(records: Records, shown: list[Shown]) -> str:
    items = "".join(
        f"<li><code>{escape(file)}</code> {escape(why)}. "
        f"To write it: <code>{escape(command)}</code></li>"
        for file, why, command in missing(records, shown)
    )
    if not items:
        return ""
    return f'<section class="card note"><h2>Not in this report</h2><ul>{items}</ul></section>'


def _needless(shown: list[Shown]) -> str:
    """What this kind of run has no figure of, and why."""
    titles = [entry.title.lower() for entry in shown if isinstance(entry, Needless)]
    if not titles:
        return ""
    why = f"{NO_POSTERIOR} There is no figure of: {', '.join(titles)}."
    return f'<section class="card note"><h2>Left out</h2><p>{escape(why)}</p></section>'


def _figures(shown: list[Shown]) -> str:
    drawn = [_figure(entry) for entry in shown if isinstance(entry, Exhibit)]
    return f'<section class="figures">{"".join(drawn)}</section>'


def _figure(entry: Exhibit) -> str:
    dark = ""
    if entry.dark != entry.light:
        dark = f'<source media="(prefers-color-scheme: dark)" srcset="{_embedded(entry.dark)}">'
    kind = "card wide" if entry.wide else "card"
    sheet = "" if dark else ' class="sheet"'
    return (
        f'<figure class="{kind}"><h2>{escape(entry.title)}</h2>'
        f'<div><picture>{dark}<img{sheet} alt="{escape(entry.title)}. {escape(entry.caption)}" '
        f'src="{_embedded(entry.light)}"></picture></div>'
        f"<figcaption>{escape(entry.caption)}</figcaption></figure>"
    )


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _seeds(found: Headline | None) -> str:
    rows = [] if found is None else seed_rows(found)
    return _numbers("Seeds", SEED_COLUMNS, rows) if rows else ""


def _evaluations(records: Records) -> str:
    """All evaluations, where there are others than the one that leads."""
    if not [found for found in records.evaluations if found is not records.leading]:
        return ""
    return _numbers("Evaluations", EVALUATION_COLUMNS, evaluation_rows(records))


def _judged(records: Records) -> str:
    """What was chosen among what, and plain sentences on what the model loses to."""
    found = headline(records)
    words = [
        verdict_on_deep(records),
        *([] if found is None else losses(found.baselines, found.unit)),
    ]
    said = "".join(f"<p><strong>{escape(text)}</strong></p>" for text in words if text)
    rows = candidate_rows(records)
    if not rows:
        return f'<section class="card note">{said}</section>' if said else ""
    about = (
        "Nats per row on rows that the candidates were not fitted to; differences are row by row, "
        f"to the best one, on the rows that both were judged on. {notes(records)}"
    ).strip()
    return _numbers("Candidates", CANDIDATE_COLUMNS, rows, before=said, after=about)


def _imputation(records: Records) -> str:
    """How well hidden cells were foretold, by columns."""
    words = imputation_words(records)
    if not words:
        return ""
    of_numbers, of_levels = imputation_rows(records)
    parts = [
        _scrolled(columns, rows)
        for columns, rows in ((NUMBERS, of_numbers), (LEVELS, of_levels))
        if rows
    ]
    return (
        f'<section class="card"><h2>Imputation</h2><p>{escape(words)}</p>{"".join(parts)}</section>'
    )


def _numbers(
    title: str, columns: list[str], rows: list[list[str]], *, before: str = "", after: str = ""
) -> str:
    """A card with a table; `before` is HTML, `after` is text."""
    last = f"<p>{escape(after)}</p>" if after else ""
    return (
        f'<section class="card"><h2>{title}</h2>{before}{_scrolled(columns, rows)}{last}</section>'
    )


def _scrolled(columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _tables(records: Records) -> str:
    configuration = [(key, plain(value)) for key, value in records.config.items()]
    shell = "".join(
        f"<li>{escape(purpose)}<br><code>{escape(command)}</code></li>"
        for purpose, command in commands(records)
    )
    return (
        '<section class="tables">'
        f'<div class="card"><h2>Configuration</h2>{_definitions(configuration)}</div>'
        f'<div class="card"><h2>Data</h2>{_definitions(data_rows(records))}'
        f"<h2>Run</h2>{_definitions(run_rows(records))}"
        f'<h2>Commands</h2><ul class="commands">{shell}</ul></div></section>'
    )


def _definitions(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" for term, value in rows)
    return f"<dl>{body}</dl>" if body else "<p>Nothing recorded.</p>"
