"""Writes a report beside the records it is made from."""

from pathlib import Path

from tightbound.files import write_atomic
from tightbound.report.figures import Exhibit, exhibits
from tightbound.report.page import page
from tightbound.report.records import read_records

_NAMES = (
    "learning_curve.png",
    "bound_against_k.png",
    "classifiers.png",
    "active_units.png",
    "khat.png",
    "samples.png",
    "reconstructions.png",
    "manifold.png",
)


def write_report(directory: Path) -> Path:
    """Writes `figures/*.png` and the self-contained `report.html`, a function of the records alone.

    Args:
        directory: A run folder; only `config.toml` and `metrics.jsonl` must be there.

    Returns:
        The page's path.

    Raises:
        UsageError: No run folder, or no finished epoch in it.
    """
    records = read_records(directory)
    shown = exhibits(records)
    drawn = {entry.name: entry for entry in shown if isinstance(entry, Exhibit)}
    for name in _NAMES:
        # A figure of an earlier report must not outlive the record it was made from.
        if name in drawn:
            write_atomic(directory / "figures" / name, drawn[name].light)
        else:
            (directory / "figures" / name).unlink(missing_ok=True)
    path = directory / "report.html"
    write_atomic(path, page(records, shown))
    return path
