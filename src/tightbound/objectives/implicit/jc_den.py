"""Joint-contrastive denoising inference: scores of q(z|x) and p(z|x) by two denoisers.

Formula: -||s (d log q_sigma(z|x) - d log p_sigma(z|x))||^2 / 2 at z + sigma s eta
Direction: none (half a squared norm of scores, zero where q is the posterior; no nats).
Reference: Huszar 2017, arXiv 1702.08235 (JC-Den).
Bias: at the denoisers' optimum this is the exact gradient of KL(q_sigma(z|x) || p_sigma(z|x)),
both with noise of sigma times q's standard deviations s(x): the minimum is q = p(z|x) at any sigma.
"""

from tightbound.adjoints import FirstOrder
from tightbound.objectives.contract import About
from tightbound.objectives.implicit.jc_adv import NEEDS
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import Denoiser

ABOUT = About(requires=NEEDS)


def jc_den(
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    sigma: float | tuple[float, float, int] = 0.2,
) -> Nested:
    """Joint-contrastive denoising objective: draws alone of all three; no bound.

    The model's own parameters do not move. The score of p(z|x) is learned from the model's own
    draws: data that it would hardly make are data for which nothing is known of it. Fragile where
    sigma is small, as `pc_den`; start with sigma=(1.0, 0.2, epochs) where q starts far away. Of
    several modes far apart q may keep one, whatever sigma starts from, since the noise shrinks with
    q: look at draws from several seeds, or take `jc_adv` with `instance_noise`, which does not.

    Args:
        inner: Steps of the denoisers for each step of q.
        rate: Learning rate of the denoisers (Adam with beta_1 = 0.5).
        hidden: Widths of their hidden layers.
        sigma: Noise in units of q's standard deviations, or (start, end, epochs).

    Raises:
        UsageError: Numbers outside their range.
    """
    call = called("jc_den", inner=inner, rate=rate, hidden=tuple(hidden), sigma=sigma)
    noise = Noise.of(sigma, "sigma", zero=False)
    hidden, now = tuple(hidden), noise.at(0)
    terms = Denoiser("q", -1.0, hidden, now), Denoiser("joint", 1.0, hidden, now)
    return Nested(call, terms, FirstOrder(inner), NEEDS, rate, hidden, noise)
