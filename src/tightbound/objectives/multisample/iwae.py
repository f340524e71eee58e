"""The importance weighted bound, the objective of the importance weighted autoencoder.

Formula: log (1/k) sum_i w_i
Direction: lower.
Reference: Burda, Grosse & Salakhutdinov 2015, arXiv 1509.00519, eq. 8, 13 and 14.
Bias: the bound is below log p(x) by Var(w) / (2 k p(x)^2) + O(1/k^2) on average.
"""

from tightbound.bounds import IWAE
from tightbound.core.errors import at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"k": 4})


def iwae(k: int, gradient: str | AbstractGradient = "reparameterized") -> Multisample:
    """The k-sample importance weighted bound in nats, a lower bound on log p(x).

    Args:
        k: Draws per datum; k = 1 is the ELBO.
        gradient: Name of the estimator, such as "dreg", or an estimator.

    Raises:
        UsageError: An unknown gradient, or k < 1.
    """
    chosen = by_name(gradient)
    at_least(1, k=k)
    return Multisample(f"iwae(k={k}, gradient='{chosen.name}')", IWAE(), chosen, k)
