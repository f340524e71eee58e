"""Labels as a fit is given them: how many classes there are, and a few kept of many."""

from dataclasses import replace

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data import Dataset

NONE = -1


def classes_of(data: Dataset) -> int:
    """How many classes the labels of all parts have, numbered from 0.

    Raises:
        UsageError: Data without labels.
    """
    parts = [np.asarray(labels) for labels in data.labels.values() if len(labels)]
    largest = max((int(labels.max()) for labels in parts), default=NONE)
    if largest < 1:
        raise UsageError(
            f"expected data with labels of two classes or more, and {data.name} has none: name "
            "the column that holds them by --label, or take a named set with labels"
        )
    return largest + 1


def with_few_labels(data: Dataset, count: int, seed: int) -> Dataset:
    """The data set with so many training labels, as many of each class; the others are unknown.

    Raises:
        UsageError: A number that is no multiple of the classes, or more than a class has.
    """
    classes = classes_of(data)
    labels = np.asarray(data.labels.get("train", np.zeros(0)))
    if count % classes:
        raise UsageError(
            f"expected a number of labels that is a multiple of the {classes} classes, got {count}"
        )
    each = count // classes
    rng = np.random.default_rng(seed)
    kept = np.full(len(labels), NONE, np.int32)
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        if len(rows) < each:
            raise UsageError(
                f"expected {each} training labels of each class for labels={count}, and class "
                f"{label} has {len(rows)}"
            )
        kept[rng.choice(rows, each, replace=False)] = label
    note = f"{count} of {len(labels):,} training labels are known, {each} of each class, by {seed}"
    return replace(data, labels={**data.labels, "train": kept}, notes=(*data.notes, note))
