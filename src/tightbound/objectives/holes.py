"""Which objectives and parts take data with missing values or conditions."""

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
