"""One bound for the model and another for the posterior, on the same draws.

Formula: model: log (1/k) sum_i w_i; posterior: (1/k) sum_i log w_i
Direction: lower.
Reference: Burda et al. 2015, arXiv 1509.00519, eq. 8 for the model, and Kingma & Welling 2013,
arXiv 1312.6114, eq. 2 for the posterior: to raise the ELBO in q is to lower KL(q(z|x) || p(z|x)).
Bias: the reported bound, which the model follows, has its own; the posterior's gradient is that of
the bound chosen for it.
"""

from tightbound.bounds import ELBO, IWAE, AbstractBound
from tightbound.core.errors import UsageError, at_least
from tightbound.gradients import AbstractGradient, by_name
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample

BOUNDS: dict[str, AbstractBound] = {"elbo": ELBO(), "iwae": IWAE()}

ABOUT = About(example={"k": 4})


def combined(
    k: int,
    model: str = "iwae",
    posterior: str = "elbo",
    gradient: str | AbstractGradient = "reparameterized",
) -> Multisample:
    """IWAE for the model and KL(q(z|x) || p(z|x)) for the posterior: `combined(k)`; nats.

    Args:
        k: Draws per datum, used by both bounds.
        model: The bound that the model follows and that is reported, "iwae" or "elbo".
        posterior: The bound that the posterior follows, "elbo" or "iwae".
        gradient: Name of the posterior's estimator, or an estimator.

    Raises:
        UsageError: An unknown bound or gradient, one that does not suit the bound, or k < 1.
    """
    chosen = by_name(gradient)
    at_least(1, k=k)
    for name in (model, posterior):
        if name not in BOUNDS:
            raise UsageError(f"expected a bound out of {', '.join(BOUNDS)}, got {name!r}")
    call = f"combined(k={k}, model={model!r}, posterior={posterior!r}, gradient='{chosen.name}')"
    return Multisample(call, BOUNDS[model], chosen, k, bound_of_posterior=BOUNDS[posterior])
