"""Operator variational inference with the Langevin-Stein operator and a test-function network.

Formula: -max_f E_q [2 (d log p(x, z) . f(x, z) + div f(x, z)) - |f(x, z) / s(x)|^2]
Direction: none (minus a Stein discrepancy, zero where q is the posterior; no nats).
Reference: Ranganath, Altosaar, Tran & Blei 2016, arXiv 1610.09033 (variational programs: q is
known by its draws alone); Hu, Chen, Sun, Bai, Ye & Cheng 2018, arXiv 1806.03353 (the penalty).
Bias: the test function is behind q by the inner problem's error, and what is reported is then
nearer to zero than the discrepancy is.

The paper's objective is the largest (E_q O f)^2 over a class of functions f. The class here is the
ball E_q |f / s|^2 <= 1, s being q's own standard deviations, and the penalty is that constraint
with f's scale already chosen: max_c 2 c E_q O f - c^2 E_q |f / s|^2 = (E_q O f)^2 / E_q |f / s|^2.
The best f is s^2 (d log p(z|x) - d log q(z|x)), the value E_q |s (d log p - d log q)|^2, which is
the Fisher divergence in units of q's deviations. Three things follow that a network with |f|
bounded at each point does not have. The objective is a mean over draws, where a square needs the
product of two noisy means, whose sign is lost as soon as either is near zero. The test function
falls back to zero as q arrives, where the best bounded one is of full length however small the
difference is, and q jumps from side to side. And the gradient of the test function's own problem
does not vanish where E_q O f is zero.
"""

from tightbound.adjoints import FirstOrder
from tightbound.objectives.contract import About, Requires
from tightbound.objectives.implicit.nested import Nested, called
from tightbound.objectives.implicit.terms import Stein

NEEDS = Requires(("score",), ("score",), ("samples",), learns=False)
ABOUT = About(requires=NEEDS)


def opvi(
    inner: int = 5,
    rate: float = 3e-3,
    hidden: tuple[int, ...] = (128, 128),
) -> Nested:
    """Langevin-Stein objective: the scores of prior and likelihood, and draws of q; no bound.

    The model's own parameters do not move. The scores must be those of all real z. A test function
    that is behind makes q circle the posterior: q's own learning rate should not be above `rate`.
    Scores do not tell how much mass lies in modes that are far apart, whose shares may stay wrong.

    Args:
        inner: Steps of the test function for each step of q.
        rate: Learning rate of the test function (Adam with beta_1 = 0.5).
        hidden: Widths of its hidden layers, and of those of the normal that follows q.

    Raises:
        UsageError: Numbers outside their range.
    """
    hidden = tuple(hidden)
    call = called("opvi", inner=inner, rate=rate, hidden=hidden)
    return Nested(call, (Stein(hidden),), FirstOrder(inner), NEEDS, rate, hidden)
