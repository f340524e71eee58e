"""The data of a run, which must be those that it was fitted to, and other data to be scored."""

import math
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int

from tightbound import data
from tightbound.core.digests.arrays import digest_of
from tightbound.core.digests.record import entry
from tightbound.core.errors import UsageError
from tightbound.models.standardization import columns
from tightbound.recipes.settings import Config
from tightbound.runs.folder import RUN, ItemsOf, Opened, items_of

PARTS = ("train", "validation", "test")
FILE = "file"
"""What stands in place of a part's name for data that are not the run's."""


class Scored(NamedTuple):
    """Data that a run's model is to judge or reconstruct, in the order of their source."""

    name: str
    x: Float[np.ndarray, "n d"]
    rows: Int[np.ndarray, " n"]
    """The row in the source of each, from 0."""
    about: dict[str, Any]
    """What a record says of them."""
    train: Float[np.ndarray, "m d"] | None = None
    """The rows that the run was fitted to, where these are of the same source."""
    names: tuple[str, ...] = ()
    """The name of each row, where the source has names."""
    validation: Float[np.ndarray, "v d"] | None = None
    """The rows that the run was tuned on, as `train`."""
    labels: Int[np.ndarray, " n"] | None = None
    """The label of each, -1 where it is missing; None where labels are not those of the run."""

    def first(self, limit: int | None) -> "Scored":
        """The first so many of them; all if that is None, or more than there are."""
        if limit is None or limit >= len(self.x):
            return self
        labels = None if self.labels is None else self.labels[:limit]
        return self._replace(
            x=self.x[:limit],
            rows=self.rows[:limit],
            about={**self.about, "limit": limit},
            names=self.names[:limit],
            labels=labels,
        )


def part_digest(x: Float[np.ndarray, "n d"]) -> str:
    """SHA-256 of the values of one part of the data, as a model is given them."""
    return digest_of({"x": x})


def part_digests(ds: data.Dataset) -> dict[str, str]:
    """SHA-256 of the values of each part."""
    return {part: part_digest(getattr(ds, part)) for part in PARTS}


def load(config: Config, schema: data.Schema | None = None) -> data.Dataset:
    """Loads the data that settings name.

    Args:
        config: The settings.
        schema: How a table is coded, in place of what the settings say of its columns.

    Raises:
        UsageError: As `tb.data.load` says.
    """
    columns = config.columns() if schema is None else {"schema": schema}
    return data.load(
        config.data,
        split=config.split,
        scale=config.scale,
        header=config.header,
        **cast(data.Declarations, columns),
    )


def load_source(directory: Path, opened: Opened) -> data.Dataset:
    """Loads the data that a run's settings name.

    Raises:
        UsageError: They are no longer those that the run was fitted to.
    """
    config = opened.config
    ds = load(config, coded_by(directory, opened))
    path = directory / RUN
    then = entry(entry(opened.record, path, "data", dict), path, "digests", dict)
    now = part_digests(ds)
    changed = [part for part in PARTS if then.get(part) != now[part]]
    if changed:
        first = changed[0]
        raise UsageError(
            f"{config.data} holds other data than {directory} was fitted to: {', '.join(changed)} "
            f"differ ({first} had SHA-256 {str(then.get(first))[:12]}..., has {now[first][:12]}"
            "...); put the data back, or fit again under another name"
        )
    return ds


def load_part(directory: Path, opened: Opened, part: str) -> Scored:
    """Loads one part of the run's own data.

    Raises:
        UsageError: As for `load_source`.
    """
    ds = load_source(directory, opened)
    x = getattr(ds, part)
    about = {"rows": f"rows of {ds.name}" if ds.rows else f"positions in the {part} part"}
    rows = ds.rows.get(part, np.arange(len(x)))
    whole = len(ds.row_names) == sum(len(getattr(ds, name)) for name in PARTS)
    names = tuple(ds.row_names[row] for row in rows) if whole else ()
    return Scored(ds.name, x, rows, about, ds.train, names, ds.validation, _labels(ds, part))


def load_scored(
    directory: Path,
    opened: Opened,
    name: str,
    *,
    scale: float | None = None,
    header: bool | None = None,
    smaller: int = 1,
) -> Scored:
    """Loads the test part of a named set, or all rows of a file in their order.

    Args:
        directory: The run's folder.
        opened: What it holds.
        name: The set or file.
        scale: What the file's numbers are divided by, if not by what their type says; those of the
            fit's own file by what they were divided by then.
        header: Whether the file's first line names its columns; as then, for the fit's own file.
        smaller: By how much both sides of its images are shorter than those of the run's.

    Raises:
        UsageError: No such data, items of another shape than the run's, or a file whose columns
            or units are not those that the model was fitted to.
    """
    own = name == opened.config.data
    if is_named(name):
        ds = load_source(directory, opened) if own else data.load(name, scale=scale, header=header)
        about = {"source": {"name": f"{name} (test part)", "checksum": ds.checksum}}
        labels = _labels(ds, "test") if own else None
        found = Scored(name, ds.test, np.arange(len(ds.test)), about, labels=labels)
    else:
        if own:
            load_source(directory, opened)  # which refuses what has changed since the fit
            scale = opened.config.scale if scale is None else scale
            header = opened.config.header if header is None else header
        schema = coded_by(directory, opened)
        items = data.load_items(name, scale=scale, header=header, schema=schema)
        _check_like_the_fit(directory, opened, items)
        about = {
            "source": {
                "name": items.name,
                "checksum": items.checksum,
                "notes": "; ".join(items.notes),
            }
        }
        found = Scored(
            items.name,
            items.x,
            np.arange(len(items.x)),
            about,
            names=items.row_names,
            labels=items.labels,
        )
    shape = items_of(directory).shape
    shape = (*(size // smaller for size in shape[:2]), *shape[2:])
    if found.x.shape[1] != math.prod(shape):
        like = "like the run's" if smaller == 1 else f"for the run's divided by {smaller}"
        raise UsageError(
            f"{name}: expected items of shape {shape} {like}, got {found.x.shape[1]} values"
        )
    return found._replace(about={**found.about, "rows": f"rows of {found.name}"})


def load_rows(
    directory: Path,
    opened: Opened,
    name: str | None,
    *,
    scale: float | None = None,
    header: bool | None = None,
) -> Scored:
    """As `load_scored`; without a name the run's own test part.

    Raises:
        UsageError: As for `load_scored`, or a run without test rows.
    """
    if name is not None:
        return load_scored(directory, opened, name, scale=scale, header=header)
    found = load_part(directory, opened, "test")
    if not len(found.x):
        raise UsageError(f"{directory} has no test rows: name a file of rows")
    return found


def is_named(name: str) -> bool:
    """Whether it is the name of a set, and not of a file."""
    return name in {known.name for known in data.names()}


def _labels(ds: data.Dataset, part: str) -> Int[np.ndarray, " n"] | None:
    found = ds.labels.get(part)
    return None if found is None else np.asarray(found, np.int32)


def schema_of(directory: Path, opened: Opened) -> data.Schema | None:
    """What the columns of a run's table are; None where its data are no table.

    Raises:
        UsageError: The record is damaged.
    """
    path = directory / RUN
    held = entry(opened.record, path, "data", dict).get("schema")
    if held is None:
        return None
    if not isinstance(held, dict):
        raise UsageError(f"{path} is damaged: expected a schema, got {held!r:.60}")
    return data.Schema.from_entries(held, f"{path} is damaged")


def written_items(directory: Path, opened: Opened, *, drawn: bool = False) -> ItemsOf:
    """What one item is, for files that people read: with the words of levels.

    Draws have a level in each column of levels; means have where the model's law has levels.

    Raises:
        UsageError: A damaged record.
    """
    items, law = items_of(directory), columns(opened.model)
    # A model of finitely many z has draws, and no means.
    drawn = drawn or (law is None and opened.posterior is None)
    if law is None and not drawn:
        return items
    schema = schema_of(directory, opened)
    if schema is None:
        return items
    if law is None or drawn:
        words = enumerate(column.levels for column in schema.columns)
        return items._replace(levels={place: levels for place, levels in words if levels})
    means = {
        place: schema.columns[place].levels
        for laws, places in zip(law.laws, law.places, strict=True)
        for place in places
        if laws.levels is not None and schema.columns[place].levels
    }
    return items._replace(levels=means)


def coded_by(directory: Path, opened: Opened) -> data.Schema | None:
    """The schema by which data for a run are coded; None where they come as they are.

    Raises:
        UsageError: The record is damaged.
    """
    schema = schema_of(directory, opened)
    if schema is None or (schema.plain and not opened.config.says_columns):
        return None
    return schema


def _check_like_the_fit(directory: Path, opened: Opened, items: data.Unsplit) -> None:
    """Refuses columns in another order, and values that were divided by another number."""
    fitted = entry(opened.record, directory / RUN, "data", dict)
    columns = fitted.get("columns") or []
    if columns and items.columns and list(items.columns) != columns:
        other = next(
            (pair for pair in zip(items.columns, columns, strict=False) if pair[0] != pair[1]),
            (f"{len(items.columns)} columns", f"{len(columns)} columns"),
        )
        raise UsageError(
            f"{items.name}: expected the columns of the fit in their order, got {other[0]!r} where "
            f"{other[1]!r} was"
        )
    scale = fitted.get("scale")
    if scale is not None and scale != items.scale:
        raise UsageError(
            f"{items.name}: its values are divided by {items.scale:g}, those of the fit were by "
            f"{scale:g}: store them as the data of the fit were stored, or give --scale"
        )
