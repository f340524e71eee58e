"""The importance weighted bound with twice as many draws.

Formula: log (1/2k) sum_i w_i
Direction: lower.
Reference: none; for a test that adds an objective.
Bias: that of the bound on 2k draws.
"""

from tightbound.bounds import IWAE
from tightbound.core.errors import at_least
from tightbound.gradients import by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"k": 2})


def twice(k: int, gradient: str = "dreg") -> Multisample:
    """The importance weighted bound on 2k draws, in nats; lower bound.

    Args:
        k: Half of the draws per datum.
        gradient: Name of the estimator.

    Raises:
        UsageError: An unknown gradient, or k < 1.
    """
    at_least(1, k=k)
    chosen = by_name(gradient)
    return Multisample(f"twice(k={k}, gradient='{chosen.name}')", IWAE(), chosen, 2 * k)
