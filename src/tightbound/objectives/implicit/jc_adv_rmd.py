"""Joint-contrastive adversarial inference that differentiates through the classifier's learning.

Formula: -(E_q T_n - log E_p e^{T_n}), T_n the classifier's logit after n steps
Direction: none (minus a lower bound on KL(q p_D | p), whose second mean is of a batch).
Reference: Huszar 2017, arXiv 1702.08235 (JC-Adv-RMD); Maclaurin, Duvenaud & Adams 2015,
arXiv 1502.03492 (reverse-mode differentiation of an optimisation); Donsker & Varadhan 1983.
Bias: none in the gradient of the inner problem as it is solved, with so many steps; they end short
of the log-ratio.

What is climbed is minus the divergence's dual, and not -E_q T_n alone: the latter's gradient does
not vanish where q is the posterior, for E_q T_n also changes with what the n steps make of q's
draws. It shrinks q to a point; see `docs/implicit.md`.
"""

from tightbound.adjoints import Unrolled
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import DualRatio

NEEDS = Requires(("samples",), ("samples",), ("samples",))
ABOUT = About(requires=NEEDS)


def jc_adv_rmd(inner: int = 10, rate: float = 1e-2, hidden: tuple[int, ...] = (64, 64)) -> Nested:
    """Joint-contrastive objective that learns the model too, all of it implicit; nats, no bound.

    Memory grows as the square root of `inner`, time in proportion to it. Draws of the prior and
    the likelihood must be differentiable in their parameters. Fragile where `rate` is so large
    that the classifier's steps overshoot: the gradient through them then explodes; watch
    `classifier_loss`.

    Args:
        inner: Steps of the classifier for each step of q and the model, which the gradient of
            both goes through.
        rate: Learning rate of the classifier (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.

    Raises:
        UsageError: Numbers outside their range.
    """
    call = called("jc_adv_rmd", inner=inner, rate=rate, hidden=tuple(hidden))
    terms = (DualRatio("q", "joint", -1.0, tuple(hidden), Noise(0.0, 0.0, 1).at(0)),)
    return Nested(call, terms, Unrolled(inner), NEEDS, rate)
