"""The numbers of an evaluation as a table: one line for each datum, with the name of its row."""

from typing import Any

import numpy as np

from tightbound.core.digests.arrays import read_arrays
from tightbound.runs.evaluation import Answer
from tightbound.runs.folder import EVALUATION


def per_datum(answer: Answer) -> dict[str, list[Any]]:
    """Columns of one length: the seed, the row in the source, its name, and all numbers in nats.

    The name stands there where the source has names, such as a frame's index or the files of
    images; the lines of one seed follow those of another.

    Raises:
        UsageError: The file of the evaluation is damaged.
    """
    arrays, record = read_arrays(answer.path, EVALUATION)
    rows = arrays.pop("rows")
    seeds = len(arrays["log_evidence"])
    columns = {
        "seed": np.repeat(np.arange(seeds), len(rows)).tolist(),
        "row": np.tile(rows, seeds).tolist(),
    }
    if "row_names" in record:
        columns["name"] = list(record["row_names"]) * seeds
    return columns | {name: list(arrays[name].reshape(-1)) for name in sorted(arrays, key=_order)}


def _order(name: str) -> tuple[bool, str]:
    """The estimate itself comes first."""
    return name != "log_evidence", name
