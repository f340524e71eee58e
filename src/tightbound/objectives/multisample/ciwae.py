"""Between the ELBO and the importance weighted bound: CIWAE.

Formula: beta (1/k) sum_i log w_i + (1 - beta) log (1/k) sum_i w_i
Direction: lower.
Reference: Rainforth et al. 2018, arXiv 1802.04537, eq. 12-13 as restated in reproductions.
Bias: beta times that of the ELBO plus 1 - beta times that of the k-sample bound.
"""

from tightbound.bounds import CIWAE
from tightbound.core.errors import UsageError, at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"k": 4, "beta": 0.5})


def ciwae(k: int, beta: float, gradient: str | AbstractGradient = "reparameterized") -> Multisample:
    """Beta times the ELBO plus 1 - beta times the k-sample bound; nats, a lower bound.

    Args:
        k: Draws per datum, used by both bounds.
        beta: Between 0 (`iwae(k)`) and 1 (`elbo(samples=k)`).
        gradient: Name of the estimator, or an estimator.

    Raises:
        UsageError: An unknown gradient, one that does not suit the bound, k < 1, or another beta.
    """
    chosen = by_name(gradient)
    at_least(1, k=k)
    if not 0 <= beta <= 1:
        raise UsageError(f"expected beta between 0 and 1, got {beta}")
    call = f"ciwae(k={k}, beta={beta}, gradient='{chosen.name}')"
    return Multisample(call, CIWAE(float(beta)), chosen, k)
