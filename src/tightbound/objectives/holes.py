"""Which objectives and parts take data with missing values."""

import numpy as np
from jaxtyping import Float

from tightbound.core.errors import UsageError
from tightbound.models.holes import check_likelihood, check_posterior
from tightbound.objectives.contract import AbstractObjective, Parts


def check_holes(
    parts: Parts, objective: AbstractObjective, *data: Float[np.ndarray, "_n *_item"] | None
) -> None:
    """Refuses parts and objectives that do not take data with missing values, if some are.

    Raises:
        UsageError: Which of them, and what would do.
    """
    if not any(x is not None and np.isnan(x).any() for x in data):
        return
    if not objective.holes:
        raise UsageError(
            f"data have missing values (NaN), which {objective.description} does not take: fill "
            "them or drop such rows, or use an objective with log p(x, z), such as iwae or sivi"
        )
    check_likelihood(parts.model)
    check_posterior(parts.model, parts.posterior)
