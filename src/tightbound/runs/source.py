"""The data of a run, which must be those that it was fitted to."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from tightbound import data
from tightbound.digests.arrays import digest_of
from tightbound.digests.record import entry
from tightbound.errors import UsageError
from tightbound.runs.folder import RUN, Opened

PARTS = ("train", "validation", "test")


def part_digest(x: Float[np.ndarray, "n d"]) -> str:
    """SHA-256 of the values of one part of the data, as a model is given them."""
    return digest_of({"x": x})


def part_digests(ds: data.Dataset) -> dict[str, str]:
    """SHA-256 of the values of each part."""
    return {part: part_digest(getattr(ds, part)) for part in PARTS}


def load_source(directory: Path, opened: Opened) -> data.Dataset:
    """Loads the data that a run's settings name.

    Raises:
        UsageError: They are no longer those that the run was fitted to.
    """
    config = opened.config
    ds = data.load(config.data, split=config.split)
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
