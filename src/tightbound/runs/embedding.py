"""Where rows lie in the latent space of a run's model: codes for files, and a map."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import at_least
from tightbound.distributions import StandardNormal
from tightbound.models import plug_in
from tightbound.models.source import as_source
from tightbound.report.latent_map import Labels, Manifold, map_png
from tightbound.runs.folder import Opened, items_of, open_run, refuse_draws
from tightbound.runs.images import GRID, manifold
from tightbound.runs.source import Scored, load_rows, schema_of
from tightbound.tasks import Embedded, embed
from tightbound.tasks.predictive import K


class Embedding(NamedTuple):
    """What `embed_data` finds."""

    found: Embedded
    rows: Scored
    """The data that were embedded."""
    labels: Labels | None
    """Of the rows, where the run's data have some."""
    manifold: Manifold | None
    """Where z has two dimensions and a standard normal prior, and items are grey pictures."""
    drawn: bool
    """Whether z is drawn from a posterior, and not summed over."""

    def map_png(self) -> bytes:
        """The map as a picture.

        Raises:
            UsageError: As for `Embedded.map`.
        """
        plane = self.found.map()
        return map_png(
            plane.points,
            plane.draws.reshape(-1, 2),
            plane.names,
            labels=self.labels,
            manifold=self.manifold,
        )

    def table(self) -> dict[str, list[Any]]:
        """Columns of one length: row, name, label, means, standard deviations, and the draws'."""
        found, rows = self.found, self.rows
        columns: dict[str, list[Any]] = {"row": rows.rows.tolist()}
        if rows.names:
            columns["name"] = list(rows.names)
        if self.labels is not None:
            names = [*self.labels.names, ""]  # -1, a label that is not known, is the last
            columns["label"] = [names[number] for number in self.labels.numbers]
        columns |= {f"z{j + 1}": list(z) for j, z in enumerate(found.codes.T)}
        columns |= {f"sd{j + 1}": list(sd) for j, sd in enumerate(found.sd.T)}
        columns["log_p"] = list(found.log_evidence)
        if self.drawn:
            columns |= {"stderr": list(found.stderr), "ess": list(found.ess)}
            columns["khat"] = list(found.khat)
        return columns

    def arrays(self, *, draws: bool) -> dict[str, np.ndarray]:
        """The same by names of arrays, with the draws if they are asked for."""
        found = self.found
        arrays = {"row": self.rows.rows, "codes": found.codes, "sd": found.sd}
        if draws:
            arrays["draws"] = found.draws
        if self.labels is not None:
            arrays["labels"] = self.labels.numbers
        arrays["log_p"] = found.log_evidence
        if self.drawn:
            arrays |= {"stderr": found.stderr, "ess": found.ess, "khat": found.khat}
        return arrays

    def record(self) -> dict[str, Any]:
        """All of them together, as one flat record; nats."""
        found = self.found
        record = {
            "data": self.rows.name,
            "n": len(found.codes),
            "latent": found.codes.shape[1],
            "mean_log_p": float(np.mean(found.log_evidence, dtype=np.float64)),
        }
        if self.drawn:
            record |= {
                "k": found.k,
                "median_ess": float(np.median(found.ess)),
                "rows_of_too_few_draws": int(found.unsure.sum()),
            }
        return record


def embed_data(
    directory: Path,
    name: str | None,
    *,
    k: int | None = None,
    draws: int = 20,
    key: int = 0,
    limit: int | None = None,
    scale: float | None = None,
    header: bool | None = None,
) -> Embedding:
    """Embeds the run's test part, that of a named set, or all rows of a file, by the first seed.

    Args:
        directory: The run's folder.
        name: The set or file; None for the test part of the run's own data.
        k: Draws of z for each row, by default 1,000; of a run without a posterior none.
        draws: Of them those that are kept.
        key: Seed of draws and binarisation.
        limit: Only the first so many rows.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.

    Raises:
        UsageError: As for `open_run`, `load_scored` and `tb.tasks.embed`.
    """
    if limit is not None:
        at_least(1, limit=limit)
    opened = open_run(directory)
    refuse_draws(opened, k=k)
    rows = load_rows(directory, opened, name, scale=scale, header=header).first(limit)
    model = plug_in(opened.model)
    found = embed(
        model,
        opened.posterior,
        as_source(model, rows.x, rows.name, opened.config.binarize),
        k=K if k is None else k,
        draws=draws,
        key=key,
    )
    labels = _labels(directory, opened, rows)
    drawn = opened.posterior is not None
    return Embedding(found, rows, labels, _manifold(directory, opened), drawn)


def _labels(directory: Path, opened: Opened, rows: Scored) -> Labels | None:
    """The labels of the rows, by their words where the data have some."""
    if rows.labels is None:
        return None
    schema = schema_of(directory, opened)
    words = () if schema is None else schema.label_levels
    names = words or tuple(str(number) for number in range(int(rows.labels.max()) + 1))
    return Labels(rows.labels.astype(int), tuple(names))


def _manifold(directory: Path, opened: Opened) -> Manifold | None:
    shape = items_of(directory).shape
    plane = opened.config.candidates is None and opened.config.sizes()["latent"] == 2
    normal = isinstance(opened.run.model.prior, StandardNormal)
    if len(shape) != 2 or not plane or not normal:
        return None
    grid: Float[np.ndarray, "cells d"] = manifold(opened.run, GRID)
    return Manifold(grid.reshape(len(grid), -1), (shape[0], shape[1]))
