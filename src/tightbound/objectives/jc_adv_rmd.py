"""Joint-contrastive adversarial inference that differentiates through the classifier's learning.

Formula: -T_n(x, z), T_n the logit after n steps of the classifier, a function of q and the model
Direction: none (the classifier's error has either sign).
Reference: Huszar 2017, arXiv 1702.08235 (JC-Adv-RMD); Maclaurin, Duvenaud & Adams 2015,
arXiv 1502.03492 (reverse-mode differentiation of an optimisation).
Bias: none in the gradient of the inner problem as it is solved, with so many steps; they end short
of the log-ratio.
"""

from tightbound.adjoints import Unrolled
from tightbound.objectives.abstract import Requires
from tightbound.objectives.nested import Nested, Noise, called
from tightbound.objectives.terms import Ratio


def jc_adv_rmd(inner: int = 10, rate: float = 1e-2, hidden: tuple[int, ...] = (64, 64)) -> Nested:
    """Joint-contrastive objective that learns the model too, all of it implicit; nats, no bound.

    Memory grows as the square root of `inner`, time in proportion to it. Draws of the prior and
    the likelihood must be differentiable in their parameters. Fragile where `rate` is so large
    that the classifier's steps overshoot: the gradient through them then explodes; watch
    `classifier_loss`. Not stable: on the continuous sprinkler q shrank to a point in half of ten
    seeds, with rates of 1e-2 and 3e-3. Look at the spread of its draws, and try several seeds.

    Args:
        inner: Steps of the classifier for each step of q and the model, which the gradient of
            both goes through.
        rate: Learning rate of the classifier (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.

    Raises:
        UsageError: Numbers outside their range.
    """
    call = called("jc_adv_rmd", inner=inner, rate=rate, hidden=tuple(hidden))
    needs = Requires(("samples",), ("samples",), ("samples",))
    terms = (Ratio("q", "joint", -1.0, tuple(hidden), Noise(0.0, 0.0, 1).at(0)),)
    return Nested(call, terms, Unrolled(inner), needs, rate)
