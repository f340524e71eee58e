"""The evidence lower bound, the objective of the variational autoencoder.

Formula: A: (1/L) sum_l log w_l; B: -KL(q(z|x) || p(z)) + (1/L) sum_l log p(x|z_l)
Direction: lower.
Reference: Kingma & Welling 2013, arXiv 1312.6114, eq. 6 (estimator A) and eq. 7 (estimator B).
Bias: the bound is below log p(x) by KL(q(z|x) || p(z|x)) on average, however many the samples.
"""

from tightbound.bounds import ELBO
from tightbound.core.errors import UsageError, at_least
from tightbound.gradients import AbstractGradient, Reparameterized, by_name
from tightbound.objectives.contract import About, AbstractObjective
from tightbound.objectives.multisample.analytic_kl import AnalyticKL
from tightbound.objectives.multisample.multisample import Multisample

ABOUT = About(example={"samples": 4})


def elbo(
    estimator: str = "A", samples: int = 1, gradient: str | AbstractGradient = "reparameterized"
) -> AbstractObjective:
    """The ELBO in nats, a lower bound on log p(x).

    Args:
        estimator: "A" draws the whole log-weight; "B" takes KL(q(z|x) || p(z)) in closed form.
        samples: Draws L per datum.
        gradient: Estimator of the gradient; B has the reparameterised one only.

    Raises:
        UsageError: An unknown estimator or gradient, too few samples, or B with another gradient.
    """
    chosen = by_name(gradient)
    at_least(1, samples=samples)
    if estimator == "A":
        call = f"elbo(estimator='A', samples={samples}, gradient='{chosen.name}')"
        return Multisample(call, ELBO(), chosen, samples)
    if estimator != "B":
        raise UsageError(f"expected estimator 'A' or 'B', got {estimator!r}")
    if not isinstance(chosen, Reparameterized):
        raise UsageError(
            f"estimator B has the gradient 'reparameterized' only, got {chosen.name!r}: with the "
            "divergence in closed form there is no sampled entropy to leave out; use estimator='A'"
        )
    return AnalyticKL(samples)
