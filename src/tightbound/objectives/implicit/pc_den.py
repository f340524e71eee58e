"""Prior-contrastive denoising inference: the score of an implicit q(z|x) by a denoiser.

Formula: log p(x, z) at z + sigma s eta; its gradient, and minus the score of q * N(0, sigma^2 s^2)
Direction: none (log p(x, z) is reported: there is no entropy in it).
Reference: Huszar 2017, arXiv 1702.08235 (PC-Den); post IV of the same author's tutorial; Sonderby
et al. 2016, arXiv 1610.04490, eq. 12.
Bias: at the denoiser's optimum this is the exact gradient of KL(q_sigma(z|x) || p(z|x)), q_sigma
being q with noise of sigma times its own standard deviations s(x): q itself comes out narrower by
the factor 1 / (1 + sigma^2) in variance. A denoiser for the prior makes that p_sigma(z) p(x|z).
"""

from tightbound.adjoints import FirstOrder
from tightbound.core.errors import UsageError
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import Denoiser, Exact

PRIORS = ("exact", "denoiser")

ABOUT = About(requires=Requires(("score",), ("density",), ("samples",)))


def pc_den(
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    sigma: float | tuple[float, float, int] = 0.2,
    prior: str = "exact",
) -> Nested:
    """Prior-contrastive denoising objective; nats, no bound.

    The model learns through log p(x, z). Fragile where sigma is small: the score is a difference
    of order sigma of noisy numbers, and needs more inner steps and larger batches.

    Args:
        inner: Steps of the denoiser for each step of q.
        rate: Learning rate of the denoiser (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        sigma: Noise in units of q's standard deviations, or (start, end, epochs).
        prior: "exact" (its score, or density, is known) or "denoiser" (draws alone are).

    Raises:
        UsageError: Numbers outside their range, or another way with the prior.
    """
    call = called("pc_den", inner=inner, rate=rate, hidden=tuple(hidden), sigma=sigma, prior=prior)
    if prior not in PRIORS:
        raise UsageError(f"expected prior out of {', '.join(PRIORS)}, got {prior!r}")
    noise = Noise.of(sigma, "sigma", zero=False)
    hidden, now = tuple(hidden), noise.at(0)
    of_prior = Exact("prior") if prior == "exact" else Denoiser("prior", 1.0, hidden, now)
    terms = Denoiser("q", -1.0, hidden, now), of_prior, Exact("likelihood")
    needs = Requires(("score" if prior == "exact" else "samples",), ("density",), ("samples",))
    return Nested(call, terms, FirstOrder(inner), needs, rate, hidden, noise)
