"""Prior-contrastive adversarial inference: an implicit q(z|x), known by its draws alone.

Formula: log p(x|z) - T(x, z), T the logit of a classifier between q(z|x) and p(z)
Direction: none (the classifier's error has either sign).
Reference: Huszar 2017, arXiv 1702.08235 (PC-Adv); Mescheder, Nowozin & Geiger 2017,
arXiv 1701.04722, algorithm 1 (adversarial variational Bayes, the same method) and section 3.3
(adaptive contrast).
Bias: where the classifier lags behind q, its logit is no log-ratio; it errs most where q is far
narrower than the prior. The reported number is then often above log p(x).
"""

from tightbound.adjoints import FirstOrder
from tightbound.core.errors import UsageError
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import AdaptiveRatio, Exact, Ratio

CONTRASTS = ("prior", "adaptive")

ABOUT = About(requires=Requires(("samples",), ("density",), ("samples",)))


def pc_adv(
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    contrast: str = "prior",
    instance_noise: float | tuple[float, float, int] = 0.0,
) -> Nested:
    """Prior-contrastive adversarial objective (AVB); nats, no bound.

    The likelihood needs a density; q and the prior may be implicit. The model learns through
    log p(x|z). The classifier starts afresh and follows q: watch `classifier_accuracy` in the
    history. Near 0.5 the two sides overlap and the logit can be trusted; near 1 it cannot, which
    is the rule for latents that the data pin down. Then use `contrast="adaptive"`, or a smaller
    learning rate for q than for the classifier.

    Args:
        inner: Steps of the classifier for each step of q.
        rate: Learning rate of the classifier (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        contrast: What q is compared with: the "prior", or "adaptive", a normal that follows q (the
            prior's density must then be known).
        instance_noise: Standard deviation of noise on both sides, or (start, end, epochs).

    Raises:
        UsageError: Numbers outside their range, or instance noise with an adaptive contrast, which
            does not need it.
    """
    call = called(
        "pc_adv",
        inner=inner,
        rate=rate,
        hidden=tuple(hidden),
        contrast=contrast,
        instance_noise=instance_noise,
    )
    noise = Noise.of(instance_noise, "instance_noise", zero=True)
    if contrast not in CONTRASTS:
        raise UsageError(f"expected contrast out of {', '.join(CONTRASTS)}, got {contrast!r}")
    adaptive = contrast == "adaptive"
    if adaptive and noise.start:
        raise UsageError(
            "with an adaptive contrast both sides overlap already: expected instance_noise=0, "
            f"got {instance_noise}"
        )
    if adaptive:
        terms = AdaptiveRatio(tuple(hidden)), Exact("prior"), Exact("likelihood")
    else:
        terms = Ratio("q", "prior", -1.0, tuple(hidden), noise.at(0)), Exact("likelihood")
    prior = ("density",) if adaptive else ("samples",)
    needs = Requires(prior, ("density",), ("samples",))
    return Nested(
        call, terms, FirstOrder(inner), needs, rate, tuple(hidden) if adaptive else None, noise
    )
