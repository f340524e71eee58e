"""Writes a report beside the records it is made from."""

from pathlib import Path

from tightbound.core.files import clear_torn, remove, write_atomic
from tightbound.core.locks import Folder
from tightbound.report.exhibit import Exhibit
from tightbound.report.figures import exhibits
from tightbound.report.page import page
from tightbound.report.records import read_records

LOCK = ".report.lock"
PATIENCE = 60.0
"""Seconds to wait for another report of the same run, which takes a few."""
_NAMES = (
    "marginals.png",
    "pairs.png",
    "correlations.png",
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
        UsageError: No run folder, no finished epoch in it, a damaged record, or a folder that
            cannot be written to.
    """
    # A lock of its own: a run can be looked at while it goes on, and two reports do not mix.
    records = read_records(directory)
    shown = exhibits(records)
    drawn = {entry.name: entry for entry in shown if isinstance(entry, Exhibit)}
    path = directory / "report.html"
    with Folder(directory, lock=LOCK, patience=PATIENCE) as folder:
        folder.hold()
        for name in _NAMES:
            # A figure of an earlier report must not outlive the record it was made from.
            if name in drawn:
                write_atomic(directory / "figures" / name, drawn[name].light)
            else:
                remove(directory / "figures" / name)
        # A name with bytes that are no UTF-8 is shown by their escapes.
        write_atomic(path, page(records, shown).encode("utf-8", "backslashreplace"))
        clear_torn(directory / "figures")
        clear_torn(directory, path.name)
    return path
