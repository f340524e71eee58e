"""Amortised MAP for a known degradation: restored images that the prior could have made.

Formula: -T(z) at z = G(x), T the logit of a classifier between G(x) and p(z); or log p_sigma(z)
Direction: none (the classifier's error has either sign; a score has no value).
Reference: Sonderby, Caballero, Theis, Shi & Huszar 2016, arXiv 1610.04490 (AffGAN; AffDG with a
denoiser; instance noise). The likelihood is a point mass that the projection of G enforces.
Bias: by "classifier" it follows KL(q_G || p), the cross-entropy less the entropy of all restored
images together, which favours diverse ones; by "denoiser" the cross-entropy alone, at prior and
images with noise sigma.
"""

from tightbound.adjoints import FirstOrder
from tightbound.core.errors import UsageError
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import Denoiser, Ratio

GUIDES = ("classifier", "denoiser")

NEEDS = Requires(("samples",), (), ("samples",), learns=False)
ABOUT = About(requires=NEEDS)


def amortized_map(
    guide: str = "classifier",
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    noise: float | tuple[float, float, int] = 0.1,
) -> Nested:
    """Restores x to a plausible z with A z = x: a posterior as from `tb.models.restoration`.

    Args:
        guide: "classifier" (AffGAN) or "denoiser" (AffDG).
        inner: Steps of the guide for each step of the restoring network.
        rate: Learning rate of the guide (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        noise: Standard deviation of noise on both sides, which they need to overlap, or (start,
            end, epochs); what the denoiser takes away.

    Raises:
        UsageError: Another guide, or numbers outside their range.
    """
    call = called(
        "amortized_map", guide=guide, inner=inner, rate=rate, hidden=tuple(hidden), noise=noise
    )
    if guide not in GUIDES:
        raise UsageError(f"expected guide out of {', '.join(GUIDES)}, got {guide!r}")
    classifies = guide == "classifier"
    level = Noise.of(noise, "noise", zero=classifies)
    if classifies:
        term = Ratio("q", "prior", -1.0, tuple(hidden), level.at(0), sees_x=False)
    else:
        term = Denoiser("prior", 1.0, tuple(hidden), level.at(0))
    return Nested(call, (term,), FirstOrder(inner), NEEDS, rate, noise=level)
