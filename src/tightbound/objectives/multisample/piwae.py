"""The tight bound for the model, and the mean of m looser ones for the posterior: PIWAE.

Formula: model: log (1/mk) sum_i w_i; posterior: (1/m) sum over m groups of log (1/k) sum_i w_i
Direction: lower.
Reference: Rainforth et al. 2018, arXiv 1802.04537, eq. 14-15 as restated in reproductions.
Bias: the reported bound, which the model follows, is the importance weighted one on all m k draws;
the posterior's gradient is that of `miwae(m, k)` on the same draws.
"""

from tightbound.bounds import IWAE, MIWAE
from tightbound.core.errors import at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"m": 2, "k": 4})


def piwae(m: int, k: int, gradient: str | AbstractGradient = "reparameterized") -> Multisample:
    """Model: the bound of m k draws; posterior: m bounds of k draws; nats, a lower bound.

    Args:
        m: Number of bounds for the posterior; m = 1 is `iwae(k)`.
        k: Draws of each. In all m k draws per datum, used by both.
        gradient: Name of the posterior's estimator, or an estimator.

    Raises:
        UsageError: An unknown gradient, one that does not suit the bound, m < 1, or k < 1.
    """
    chosen = by_name(gradient)
    at_least(1, m=m, k=k)
    call = f"piwae(m={m}, k={k}, gradient='{chosen.name}')"
    return Multisample(call, IWAE(), chosen, m * k, bound_of_posterior=MIWAE(m))
