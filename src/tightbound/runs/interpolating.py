"""Paths between rows through the latent space of a run's model."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.core.items import with_holes
from tightbound.data.binarise import evaluated_key
from tightbound.models import plug_in
from tightbound.models.source import as_source
from tightbound.report import paths
from tightbound.runs.folder import ItemsOf, open_run
from tightbound.runs.source import load_rows, written_items
from tightbound.tasks.interpolate import Interpolated, interpolate
from tightbound.tasks.predictive import K


class Leg(NamedTuple):
    """The path from one row to another."""

    rows: tuple[int, int]
    """Their numbers among the data, from 0."""
    ends: Float[np.ndarray, "2 d"]
    """What the model sees of them."""
    found: Interpolated


class Legs(NamedTuple):
    """What `interpolate_rows` finds."""

    legs: tuple[Leg, ...]
    items: ItemsOf
    data: str

    def png(self) -> bytes:
        """All paths as pictures.

        Raises:
            UsageError: Items that are no grey pictures.
        """
        shape = self.items.shape
        if len(shape) != 2:
            raise UsageError(f"expected pictures for .png, got items of shape {shape}: write .csv")
        return paths.paths_png(
            [
                paths.Path(
                    f"row {leg.rows[0]} to row {leg.rows[1]}",
                    leg.ends,
                    leg.found.x.reshape(len(leg.found.x), -1),
                    leg.found.log_prior,
                    leg.found.usual,
                )
                for leg in self.legs
            ],
            (shape[0], shape[1]),
        )

    def table(self) -> dict[str, list[Any]]:
        """Columns of one length: the two rows, step, log p(z), the codes and what is decoded."""
        found = [leg.found for leg in self.legs]
        steps = len(found[0].codes)
        columns: dict[str, list[Any]] = {
            name: np.repeat([leg.rows[end] for leg in self.legs], steps).tolist()
            for end, name in enumerate(("from", "to"))
        }
        columns["step"] = list(range(steps)) * len(found)
        columns["log_prior"] = list(np.concatenate([one.log_prior for one in found]))
        columns["unusual"] = np.concatenate([one.unusual for one in found]).tolist()
        codes = np.concatenate([one.codes for one in found])
        columns |= {f"z{j + 1}": list(z) for j, z in enumerate(codes.T)}
        x = np.concatenate([one.x for one in found]).reshape(len(codes), -1)
        names = self.items.columns or [f"x{j}" for j in range(x.shape[1])]
        for place, (name, values) in enumerate(zip(names, x.T, strict=True)):
            levels = self.items.levels.get(place)
            columns[name] = [levels[int(v)] for v in values] if levels else list(values)
        return columns

    def record(self) -> dict[str, Any]:
        """All of them together, as one flat record."""
        found = [leg.found for leg in self.legs]
        return {
            "data": self.data,
            "paths": len(found),
            "steps": len(found[0].codes),
            "unusual_steps": int(sum(one.unusual.sum() for one in found)),
            "k": found[0].ends.k,
            "least_ess": float(min(one.ends.ess.min() for one in found)),
            "rows_of_too_few_draws": int(sum(one.ends.unsure.sum() for one in found)),
        }


def interpolate_rows(
    directory: Path,
    name: str | None,
    between: Sequence[int],
    *,
    steps: int = 9,
    path: str = "linear",
    k: int | None = None,
    key: int = 0,
    scale: float | None = None,
    header: bool | None = None,
) -> Legs:
    """Paths between rows of the run's test part, of a named set's, or of a file, by the first seed.

    Args:
        directory: The run's folder.
        name: The set or file; None for the test part of the run's own data.
        between: Numbers of rows, from 0: there is a path from each to the next.
        steps: Codes on each path, with both ends.
        path: "linear" or "spherical".
        k: Draws of z for each end, by default 1,000.
        key: Seed of draws.
        scale: What the numbers of a file are divided by, as for `tb.data.load`.
        header: Whether its first line names the columns, as there.

    Raises:
        UsageError: Fewer than two rows, one that is not there, a run without a posterior, or as for
            `open_run`, `load_scored` and `tb.tasks.interpolate`.
    """
    if len(between) < 2:
        raise UsageError(f"expected two rows or more to go between, got {len(between)}")
    opened = open_run(directory)
    model = plug_in(opened.model)
    rows = load_rows(directory, opened, name, scale=scale, header=header)
    for number in between:
        if number >= len(rows.x):
            raise UsageError(f"expected rows from 0 to {len(rows.x) - 1}, got {number}")
    source = as_source(model, rows.x, rows.name, opened.config.binarize)
    seen = source.seen(np.asarray(between), key=evaluated_key(opened.config.key)).data
    shown = np.asarray(with_holes(seen))
    legs = []
    for (a, b), pair in zip(pairwise(between), pairwise(shown), strict=True):
        found = interpolate(
            model,
            opened.posterior,
            *pair,
            steps=steps,
            k=K if k is None else k,
            path=path,
            key=key,
            binarize="none",
        )
        legs.append(Leg((a, b), np.stack(pair).reshape(2, -1), found))
    return Legs(tuple(legs), written_items(directory, opened), rows.name)
