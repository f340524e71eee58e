"""Several importance weighted bounds, averaged: MIWAE of Rainforth et al.

Not the objective for missing data of the same name (Mattei & Frellsen 2019, arXiv 1812.02633).

Formula: (1/m) sum over m groups of log (1/k) sum_i w_i
Direction: lower.
Reference: Rainforth et al. 2018, arXiv 1802.04537, eq. 11 as restated in reproductions.
Bias: that of the k-sample importance weighted bound; m draws of it lower the variance alone.
"""

from tightbound.bounds import MIWAE
from tightbound.core.errors import at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"m": 2, "k": 4})


def miwae(m: int, k: int, gradient: str | AbstractGradient = "reparameterized") -> Multisample:
    """The mean of m k-sample importance weighted bounds in nats, a lower bound on log p(x).

    Args:
        m: Number of bounds; m = 1 is `iwae(k)`.
        k: Draws of each; k = 1 is `elbo(samples=m)`. In all m k draws per datum.
        gradient: Name of the estimator, or an estimator.

    Raises:
        UsageError: An unknown gradient, one that does not suit the bound, m < 1, or k < 1.
    """
    chosen = by_name(gradient)
    at_least(1, m=m, k=k)
    return Multisample(f"miwae(m={m}, k={k}, gradient='{chosen.name}')", MIWAE(m), chosen, m * k)
