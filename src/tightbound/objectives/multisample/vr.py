"""The variational Renyi bound.

Formula: log ((1/k) sum_i w_i^(1 - alpha)) / (1 - alpha)
Direction: lower for alpha >= 0; none for alpha < 0, where only the limit is an upper bound.
Reference: Li & Turner 2016, arXiv 1602.02311, eq. 8, 12 and 13.
Bias: for alpha >= 0 the mean is below log p(x) whatever k. For alpha < 0 the limit of many draws is
above log p(x), and one draw gives the ELBO: in between no direction is certain.
"""

import math

from tightbound.bounds import Renyi
from tightbound.core.errors import UsageError, at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"k": 4, "alpha": 0.5})


def vr(k: int, alpha: float, gradient: str | AbstractGradient = "reparameterized") -> Multisample:
    """The variational Renyi bound of order alpha in nats; lower for alpha >= 0.

    Args:
        k: Draws per datum.
        alpha: Order: 0 is `iwae(k)`, 1 is `elbo(samples=k)`, -inf the largest log-weight.
        gradient: Name of the estimator, or an estimator.

    Raises:
        UsageError: An unknown gradient, one that does not suit the bound, k < 1, or alpha that is
            neither finite nor -inf.
    """
    chosen = by_name(gradient)
    at_least(1, k=k)
    if math.isnan(alpha) or alpha == math.inf:
        raise UsageError(f"expected alpha to be a number or -inf, got {alpha}")
    call = f"vr(k={k}, alpha={alpha}, gradient='{chosen.name}')"
    return Multisample(call, Renyi(float(alpha)), chosen, k)
