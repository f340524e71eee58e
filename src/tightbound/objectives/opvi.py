"""Operator variational inference with the Langevin-Stein operator and a test-function network.

Formula: -(E_q [d log p(x, z) . f(x, z) + div f(x, z)])^2, the largest over bounded f
Direction: none (minus a squared Stein discrepancy, zero where q is the posterior; no nats).
Reference: Ranganath, Altosaar, Tran & Blei 2016, arXiv 1610.09033 (variational programs: q is
known by its draws alone).
Bias: none in the square, whose two factors come from two halves of the minibatch; the test
function is behind q by the inner problem's error.
"""

from tightbound.adjoints import FirstOrder
from tightbound.errors import UsageError
from tightbound.objectives.abstract import Requires
from tightbound.objectives.nested import Nested, called
from tightbound.objectives.terms import Stein


def opvi(
    inner: int = 5,
    rate: float = 1e-3,
    hidden: tuple[int, ...] = (128, 128),
    norm: float = 2.0,
) -> Nested:
    """Langevin-Stein objective: the scores of prior and likelihood, and draws of q; no bound.

    The model's own parameters do not move. Its gradient is a product of two noisy means, small
    where the test function has not found a difference yet: fragile with small minibatches (several
    hundred draws are the rule), and slow beside `pc_adv`. The scores must be those of all real z.

    Args:
        inner: Steps of the test function for each step of q.
        rate: Learning rate of the test function (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers.
        norm: What the test function's norm stays below.

    Raises:
        UsageError: Numbers outside their range.
    """
    if not norm > 0:
        raise UsageError(f"expected norm > 0, got {norm}")
    call = called("opvi", inner=inner, rate=rate, hidden=tuple(hidden), norm=norm)
    needs = Requires(("score",), ("score",), ("samples",), learns=False)
    return Nested(call, (Stein(tuple(hidden), norm),), FirstOrder(inner), needs, rate)
