"""Adversarially learned inference (ALI, BiGAN): a game over the joints, for their JS divergence.

Formula: -softplus(T(x, z_q)) - softplus(-T(x_p, z_p)), T a classifier's logit
Direction: none (the value of a game: -2 log 2 where the joints agree).
Reference: Dumoulin et al. 2016, arXiv 1606.00704, section 2 (and its generator loss with labels
swapped); Donahue, Krahenbuhl & Darrell 2016, arXiv 1605.09782.
Bias: it follows the Jensen-Shannon divergence of the joints, not a KL: where the model cannot be
exact, its q is not the one of variational inference, and its model not that of maximum likelihood.
"""

from tightbound.adjoints import FirstOrder
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, Noise, called
from tightbound.objectives.implicit.terms import Game

NEEDS = Requires(("samples",), ("samples",), ("samples",))
ABOUT = About(requires=NEEDS)


def ali(
    inner: int = 1,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    instance_noise: float | tuple[float, float, int] = 0.0,
) -> Nested:
    """The game of ALI and BiGAN between q(z|x) p_D(x) and p(x, z); nats, no bound.

    Model and posterior move together against the classifier. Draws of the prior and likelihood
    must be differentiable. A game need not settle: watch `classifier_loss` (log 2 = 0.693 where
    the joints cannot be told apart) and compare with `jc_adv`, which follows a KL.

    Args:
        inner: Steps of the classifier for each step of the others.
        rate: Learning rate of the classifier (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        instance_noise: Standard deviation of noise on x and z of both sides, or (start, end,
            epochs).

    Raises:
        UsageError: Numbers outside their range.
    """
    call = called(
        "ali", inner=inner, rate=rate, hidden=tuple(hidden), instance_noise=instance_noise
    )
    noise = Noise.of(instance_noise, "instance_noise", zero=True)
    terms = (Game("q", "joint", -1.0, tuple(hidden), noise.at(0)),)
    return Nested(call, terms, FirstOrder(inner), NEEDS, rate, noise=noise)
