"""The figures of a table: its columns and their pairs, in real rows and in drawn ones."""

from functools import partial

from tightbound.report import marginals, pairs
from tightbound.report.exhibit import Exhibit, chart
from tightbound.report.records import Records
from tightbound.report.table import MOST_COLUMNS, table
from tightbound.report.theme import WIDTH


def marginals_of(records: Records) -> Exhibit | None:
    """Each column by itself."""
    found = table(records)
    if found is None:
        return None
    more = len(found.columns) - MOST_COLUMNS
    first = f" The first {MOST_COLUMNS} columns are shown, {more} more are not." if more > 0 else ""
    return chart(
        "marginals.png",
        "Columns by themselves",
        "Each column's values in test rows and in rows drawn from the model: look for peaks, "
        "limits and levels that one has and the other has not. What lies beyond a frame is counted "
        f"at its ends.{first}",
        partial(marginals.draw_marginals, table=found),
        height=0.5 + 1.45 * marginals.rows_of_panels(found),
        width=2 * WIDTH,
    )


def pairs_of(records: Records) -> Exhibit | None:
    """Columns against each other."""
    found = table(records)
    if found is None or len(found.columns) < 2:
        return None
    places = pairs.dependent_columns(found)
    which = "Each column against each other one"
    if len(found.columns) > len(places):
        which = (
            f"The {len(places)} of {len(found.columns)} columns that tell most of another one (by "
            "mutual information in the test rows, of fifths of numbers and of levels)"
        )
    return chart(
        "pairs.png",
        "Columns in pairs",
        f"{which}, in test rows and in rows drawn from the model: look for clouds of one colour "
        "alone. Counts and levels are moved apart by a little noise.",
        partial(pairs.draw_pairs, table=found, places=places),
        height=0.6 + 1.3 * (len(places) - 1),
        width=2 * WIDTH,
    )


def correlations_of(records: Records) -> Exhibit | None:
    """Rank correlations, of tables with more columns than are drawn in pairs."""
    found = table(records)
    if found is None or len(found.columns) <= pairs.PAIRED:
        return None
    places = pairs.ordered_columns(found)
    if len(places) < 3:
        return None
    left = len(found.columns) - len(places)
    without = f" {left} columns without an order, or beyond {pairs.MOST}, are left out."
    return chart(
        "correlations.png",
        "Rank correlations",
        "Spearman's correlation of each pair of columns, red where both rise together: the third "
        f"picture should be pale.{without if left else ''}",
        partial(pairs.draw_correlations, table=found, places=places),
        height=3.2,
        width=2 * WIDTH,
    )
