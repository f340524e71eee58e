"""Rows of a table scored by a run's model: how unusual each is, and which cells are to blame."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from tightbound.core.errors import UsageError, at_least
from tightbound.data.door import Values
from tightbound.models import plug_in
from tightbound.report.outliers import Outlier, outliers_png
from tightbound.runs.folder import Opened, items_of, open_run, refuse_draws
from tightbound.runs.source import Scored, coded_by, load_part, load_scored
from tightbound.tasks.expected import expected_given_rest
from tightbound.tasks.marginals import has_mask
from tightbound.tasks.score import K, Scores, score

SHOWN = 3
"""Blamed cells of each row in a table."""
PICTURED = 6
"""Rows in a picture, the least usual ones."""


class Scoring(NamedTuple):
    """What `score_data` finds."""

    scores: Scores
    p_value: Float[np.ndarray, " n"]
    compared: Int[np.ndarray, " n"]
    """How many calibration rows each was compared with."""
    rows: Scored
    """The data that were scored."""
    blame: float
    """The p-value up to which cells were looked at."""
    calibration: int
    """How many rows the run's validation part has."""
    notes: tuple[str, ...]
    """What must be known of the p-values."""
    drawn: bool
    """Whether scores are made of draws of a posterior, and not exact."""
    opened: Opened

    def least_usual(self) -> list[int]:
        """The rows whose cells were looked at, the least usual first."""
        scores = self.scores
        return sorted(scores.rows.tolist(), key=lambda i: (self.p_value[i], scores.log_p[i]))


def score_data(
    directory: Path,
    name: str,
    *,
    k: int | None = None,
    blame: float = 0.05,
    key: int = 0,
    limit: int | None = None,
    scale: float | None = None,
    header: bool | None = None,
    pictured: bool = False,
) -> Scoring:
    """Scores the test part of a named set, or all rows of a file, by the first seed's model.

    Calibration rows are the run's own validation part, to which no parameter was fitted.

    Args:
        directory: The run's folder.
        name: The set or file.
        k: Draws of z for each score, by default 1,000; of a run without a posterior none.
        blame: The p-value up to which a row's cells are looked at.
        key: Seed of draws and binarisation.
        limit: Only the first so many rows.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.
        pictured: Whether `score_png` is to follow, which is for pictures alone.

    Raises:
        UsageError: As for `open_run`, `load_scored`, `tb.score` and `image_of`, or a run without
            validation rows.
    """
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    refuse_draws(opened, k=k)
    inliers = load_part(directory, opened, "validation").x
    if not len(inliers):
        raise UsageError(
            f"{directory} has no validation rows to compare with: score in Python by tb.score("
            "..., calibration=...) with rows that the model was not fitted to"
        )
    if pictured:
        image_of(opened)
    rows = load_scored(directory, opened, name, scale=scale, header=header).first(limit)
    scores = score(
        plug_in(opened.model),
        opened.posterior,
        Values(rows.x, columns=items_of(directory).columns),
        calibration=inliers,
        blame=blame,
        k=K if k is None else k,
        schema=coded_by(directory, opened),
        key=key,
        binarize=opened.config.binarize,
    )
    assert scores.p_value is not None
    assert scores.compared is not None
    return Scoring(
        scores,
        scores.p_value,
        scores.compared,
        rows,
        blame,
        len(inliers),
        _notes(opened, len(inliers), blame),
        opened.posterior is not None,
        opened,
    )


def _notes(opened: Opened, calibration: int, blame: float) -> tuple[str, ...]:
    """What must be known of the p-values, in words."""
    found = []
    if has_mask(opened.run.model):
        found.append("which values are missing is scored too; cells are not looked at")
    elif 0 < blame < 1 / (calibration + 1):
        found.append(
            f"with {calibration} calibration rows no p-value is below {1 / (calibration + 1):.3g}, "
            "so that no cell was looked at"
        )
    if opened.config.early_stopping is not None:
        found.append(
            "validation rows chose the epoch (early stopping), so that they may look a little too "
            "usual, and p-values of inliers be a little too small"
        )
    if opened.config.seeds > 1:
        found.append(f"scores are by the first of {opened.config.seeds} seeds")
    return tuple(found)


def score_table(found: Scoring) -> dict[str, list[Any]]:
    """Columns of one length: row, name if there are names, score, p-value and the blamed cells.

    Each of up to three cells has its column's name, log p(x_j | x_-j) and how far that is below
    what is usual, in nats; they are empty where no cell was looked at.
    """
    scores, rows = found.scores, found.rows
    columns: dict[str, list[Any]] = {"row": rows.rows.tolist()}
    if rows.names:
        columns["name"] = list(rows.names)
    columns |= {
        "log_p": list(scores.log_p),
        "stderr": list(scores.stderr),
        "p_value": found.p_value.tolist(),
        "compared_with": found.compared.tolist(),
        "verdict": list(scores.estimate.verdicts),
    }
    looked_at = set(scores.rows.tolist())
    cells = [scores.blame(i) if i in looked_at else () for i in range(len(rows.x))]
    for place in range(min(SHOWN, rows.x.shape[1])):
        here = [one[place] if place < len(one) else None for one in cells]
        columns |= {
            f"blamed_{place + 1}": [cell.column if cell else "" for cell in here],
            f"value_{place + 1}": [cell.value if cell else "" for cell in here],
            f"log_p_{place + 1}": [cell.conditional if cell else "" for cell in here],
            f"stderr_{place + 1}": [cell.stderr if cell else "" for cell in here],
            f"below_usual_{place + 1}": [cell.below if cell else "" for cell in here],
        }
    return columns


def score_record(found: Scoring) -> dict[str, Any]:
    """The scores of a table together, as one flat record; nats."""
    estimate, p_value = found.scores.estimate, found.p_value
    return {
        "data": found.rows.name,
        "n": len(found.rows.x),
        "mean": estimate.mean,
        "stderr_draws": estimate.stderr_draws,
        "verdict": estimate.verdict,
        **({"k": found.scores.k} if found.drawn else {}),
        "calibration": found.calibration,
        "smallest_p": float(p_value.min()),
        "blame": found.blame,
        "share_blamed": float((p_value <= found.blame).mean()),
        "notes": "; ".join(found.notes),
    }


def score_lines(found: Scoring, most: int) -> list[str]:
    """The least usual rows whose cells were looked at, each with the cell most to blame."""
    scores, lines = found.scores, []
    for i in found.least_usual()[:most]:
        lines.append("; ".join([_head(found, i), *map(str, scores.blame(i)[:1])]))
    return lines


def _head(found: Scoring, i: int) -> str:
    name = f" ({found.rows.names[i]})" if found.rows.names else ""
    return f"row {found.rows.rows[i]}{name}, p-value {found.p_value[i]:.3g}"


def score_png(found: Scoring) -> bytes | None:
    """The least usual pictures, their pixels to blame, and what is expected of these given others.

    None where no row's cells were looked at.
    """
    scores, opened = found.scores, found.opened
    worst = found.least_usual()[:PICTURED]
    if not worst:
        return None
    height, width = image_of(opened)
    x = scores.values[worst]
    expected = expected_given_rest(
        plug_in(opened.model), opened.posterior, x, k=scores.k, binarize="none"
    )
    at = [int(np.flatnonzero(scores.rows == i)[0]) for i in worst]
    below = (scores.usual - scores.conditional)[at]
    return outliers_png(
        [
            Outlier(_head(found, i), *(part.reshape(height, width) for part in parts))
            for i, *parts in zip(worst, x, below, expected, strict=True)
        ]
    )


def image_of(opened: Opened) -> tuple[int, int]:
    """Height and width of the pictures that a run was fitted to.

    Raises:
        UsageError: Its data are no grey pictures.
    """
    shape = items_of(opened.directory).shape
    if len(shape) != 2:
        raise UsageError(
            f"expected a run of grey pictures for a picture of outliers, got items of shape {shape}"
        )
    return shape[0], shape[1]
