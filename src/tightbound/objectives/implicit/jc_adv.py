"""Joint-contrastive adversarial inference: prior, likelihood and q are known by draws alone.

Formula: -T(x, z), T the logit of a classifier between q(z|x) p_D(x) and p(x, z)
Direction: none (its mean estimates -KL of the joints, with the classifier's error).
Reference: Huszar 2017, arXiv 1702.08235 (JC-Adv); post III of the same author's tutorial.
Bias: where the classifier lags behind q, its logit is no log-ratio. It has to learn how the data
differ from the model's own draws as well, which says nothing about q.
"""

from tightbound.adjoints import FirstOrder
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import Ratio

NEEDS = Requires(("samples",), ("samples",), ("samples",), learns=False)
ABOUT = About(requires=NEEDS)


def jc_adv(
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    instance_noise: float | tuple[float, float, int] = 0.0,
) -> Nested:
    """Joint-contrastive adversarial objective; nats, no bound.

    For simulators: nothing is evaluated but draws. The model's own parameters do not move, since
    its density would be inside the frozen logit; `jc_adv_rmd` learns them. Train on data that the
    model could have made: a classifier that tells data from draws of the model by x alone
    (`classifier_accuracy` near 1) has little left to say about z. With draws of the model as data
    (amortised inference for a simulator), that does not arise. Fragile where p(z|x) is far narrower
    than what q starts from, or has several narrow modes, of which q mostly keeps one: start
    with instance_noise=(0.3, 0.02, half of the epochs), in the units of z, let the learning rate
    fall, and watch `classifier_accuracy`; for a simulator, `npe` with a flow loses none and comes
    nearer. A few stored simulations are learned by heart: keep some
    for validation.

    Args:
        inner: Steps of the classifier for each step of q.
        rate: Learning rate of the classifier (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        instance_noise: Standard deviation of noise on x and z of both sides, or (start, end,
            epochs).

    Raises:
        UsageError: Numbers outside their range.
    """
    call = called(
        "jc_adv", inner=inner, rate=rate, hidden=tuple(hidden), instance_noise=instance_noise
    )
    noise = Noise.of(instance_noise, "instance_noise", zero=True)
    terms = (Ratio("q", "joint", -1.0, tuple(hidden), noise.at(0)),)
    return Nested(call, terms, FirstOrder(inner), NEEDS, rate, noise=noise)
