"""A run's model fills the holes of a table's file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from tightbound.core.errors import UsageError
from tightbound.data import Schema, write_filled
from tightbound.models.source import as_source
from tightbound.runs.folder import open_run, refuse_draws
from tightbound.runs.source import Scored, load_scored, schema_of
from tightbound.tasks import Imputed, impute
from tightbound.tasks.predictive import K


class Filled(NamedTuple):
    """What a run's model makes of a table's holes."""

    imputed: Imputed
    scored: Scored
    schema: Schema
    header: bool | None
    path: str
    drawn: bool
    """Whether z is drawn from a posterior, and not summed over."""

    def write(self, path: Path, draw: int | None = None) -> None:
        """Writes the table again with its holes filled, by what is expected or by one draw.

        Raises:
            UsageError: As for `tb.data.write_filled`.
        """
        x = self.imputed.x if draw is None else self.imputed.predictive.draws[draw]
        write_filled(path, self.path, x, self.schema, header=self.header)

    @property
    def cells(self) -> dict[str, list[Any]]:
        """Each filled cell: its row (from 0), the row's name, column, value and interval.

        Of levels the value is the most probable one, with its probability, and there is no
        interval.
        """
        found = self.imputed
        rows, places = np.nonzero(~found.observed)
        columns: dict[str, list[Any]] = {"row": self.scored.rows[rows].tolist()}
        if self.scored.names:
            columns["name"] = [self.scored.names[row] for row in rows]
        columns["column"] = [self.schema.columns[place].name for place in places]
        columns["value"] = [self._shown(row, place) for row, place in _pairs(rows, places)]
        ends = {"low": found.low, "high": found.high}
        for name, end in ends.items():
            columns[name] = [
                "" if self.schema.columns[place].levelled else float(end[row, place])
                for row, place in _pairs(rows, places)
            ]
        probs = found.predictive.level_probs
        columns["probability"] = [
            float(probs[place][row].max()) if place in probs else ""
            for row, place in _pairs(rows, places)
        ]
        return columns

    def _shown(self, row: int, place: int) -> Any:
        return self.schema.columns[place].restore(self.imputed.x[row : row + 1, place])[0]


def impute_data(
    directory: Path,
    name: str,
    *,
    draws: int = 200,
    level: float = 0.95,
    k: int | None = None,
    header: bool | None = None,
    progress: bool | None = None,
) -> Filled:
    """Fills the holes of a table's file by the first replica of a run.

    Args:
        directory: The run's folder.
        name: The file.
        draws: As for `tb.impute`.
        level: As there.
        k: As there; of a run without a posterior none.
        header: Whether its first line names the columns, as for `tb.data.load`.
        progress: As for `tb.impute`.

    Raises:
        UsageError: As for `load_scored`, a run whose data are no table, or one whose model does
            not say what is missing.
    """
    opened = open_run(directory)
    refuse_draws(opened, k=k)
    schema = schema_of(directory, opened)
    if schema is None:
        raise UsageError(
            f"{directory} was fitted to {opened.config.data}, which is no table: expected a run of "
            "a table with named columns"
        )
    scored = load_scored(directory, opened, name, header=header)
    run = opened.run
    source = as_source(run.model, scored.x, name, opened.config.binarize)
    found = impute(
        run.model,
        run.posterior,
        source,
        draws=draws,
        level=level,
        k=K if k is None else k,
        key=opened.config.key,
        progress=progress,
    )
    return Filled(found, scored, schema, header, name, run.posterior is not None)


def _pairs(rows: Int[np.ndarray, " c"], places: Int[np.ndarray, " c"]) -> list[tuple[int, int]]:
    return list(zip(rows.tolist(), places.tolist(), strict=True))
