"""Which objectives and parts take data with missing values, conditions or labels."""

import numpy as np

from tightbound.core.errors import UsageError
from tightbound.data import Source
from tightbound.models.holes import check_model, check_posterior
from tightbound.objectives.contract import AbstractObjective, Params


def check_data(params: Params, objective: AbstractObjective, *sources: Source | None) -> None:
    """Refuses parts and objectives that do not take data as they are.

    Raises:
        UsageError: Which of them, and what would do.
    """
    for data in sources:
        if data is None:
            continue
        _check_labels(params, objective, data)
        if data.missing and not objective.holes:
            raise UsageError(
                f"data have missing values (NaN), which {objective.description} does not take: "
                "fill them or drop such rows, or use an objective with log p(x, z), such as iwae "
                "or sivi"
            )
        if data.conditions is not None and not objective.holes:
            raise UsageError(
                f"data have conditions, which {objective.description} does not take: use an "
                "objective with log p(x, z), such as iwae or sivi"
            )
        check_model(params.model, data)
        check_posterior(params.model, params.posterior, data)


def _check_labels(params: Params, objective: AbstractObjective, data: Source) -> None:
    """Refuses data without labels where there must be some, and labels that are no class.

    Raises:
        UsageError: What came, and what would do.
    """
    if not objective.labelled:
        return
    if data.labels is None or not np.any(data.labels >= 0):
        raise UsageError(
            f"{objective.description} learns from labels, and data have none: expected "
            "tb.source(model, x, labels=...), -1 where one is not known"
        )
    classes, largest = params.posterior.components, int(data.labels.max())
    if largest >= classes:
        raise UsageError(
            f"expected labels below {classes}, as many as the model has, got {largest}"
        )
