"""Jackknife variational inference: the importance weighted bound with its bias removed.

Formula: sum_j c_j mean over all subsets S of k - j draws of log (1/|S|) sum_S w_i,
c_j = (-1)^j (k - j)^order / ((order - j)! j!)
Direction: consistent (order 0: lower).
Reference: Nowozin 2018, "Debiasing Evidence Approximations" (ICLR), definition 1 and eq. 20-21.
Doubly reparameterised: Tucker et al. 2018, arXiv 1810.04152 (order 1), and the same for any order,
since the bound is a linear combination of importance weighted ones.
Bias: O(k^-(order + 1)) against log p(x), of either sign: no bound for order >= 1.
"""

from tightbound.bounds import Jackknife
from tightbound.core.errors import at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"k": 4})


def jvi(
    k: int, order: int = 1, gradient: str | AbstractGradient = "reparameterized"
) -> Multisample:
    """The jackknife of the k-sample bound in nats: consistent, and no bound.

    Args:
        k: Draws per datum.
        order: Order of the jackknife, below k; 0 is `iwae(k)`. Order 1 costs O(k), order m the
            number of ways to leave m draws out.
        gradient: Name of the estimator, or an estimator.

    Raises:
        UsageError: An unknown gradient, one that does not suit the bound, k < 1, or an order that
            does not suit k.
    """
    chosen = by_name(gradient)
    at_least(1, k=k)
    bound = Jackknife(order)
    bound.check_draws(k, weights=True)
    return Multisample(f"jvi(k={k}, order={order}, gradient='{chosen.name}')", bound, chosen, k)
