"""Checks on the data, sizes and numbers that a run is asked for, before anything is compiled."""

import numpy as np

from tightbound.core.errors import UsageError, at_least
from tightbound.data import Source

BATCH_SIZE = 100
"""Items per step where nobody says how many; all of them where there are fewer."""


def items_per_step(batch_size: int | None, n: int | None = None) -> int:
    """The batch size that was given, or what is usual for n data (None: for a `Target`)."""
    if batch_size is not None:
        return batch_size
    return BATCH_SIZE if n is None else min(BATCH_SIZE, n)


def check_spread(train: Source) -> None:
    """Refuses columns with one value alone, for a normal likelihood whose scales are learned.

    Raises:
        UsageError: The first such column.
    """
    low, high = (f.reduce(train.x, axis=0).astype(np.float32) for f in (np.fmin, np.fmax))
    constant = np.flatnonzero(low == high)
    if len(constant):
        column = int(constant[0])
        others = f", and {len(constant) - 1} others are like it" if len(constant) > 1 else ""
        raise UsageError(
            f"the training data: column {column} (counted from 0) is {low[column]!s} in every row"
            f"{others}: a Gaussian density that is learned there has no maximum, and log p(x) "
            "would grow without end; leave such columns out"
        )


def check_sizes(
    train: Source,
    validation: Source | None,
    *,
    batch_size: int,
    epochs: int,
    seeds: int,
    early_stopping: int | None,
    average: float | None,
) -> None:
    """Refuses data and numbers that no run can be made of.

    Raises:
        UsageError: What was expected and what came.
    """
    numbers = {"batch_size": batch_size, "epochs": epochs, "seeds": seeds}
    if early_stopping is not None:
        numbers["early_stopping"] = early_stopping
    at_least(1, **numbers)
    if batch_size > len(train):
        raise UsageError(
            f"expected batch_size <= {len(train)}, the number of training items, got {batch_size}"
        )
    if average is not None and not 0 < average < 1:
        raise UsageError(f"expected average, a decay, between 0 and 1, got {average}")
    if validation is None and early_stopping is not None:
        raise UsageError("early_stopping needs validation data: pass validation=...")
