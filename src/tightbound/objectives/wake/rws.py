"""Reweighted wake-sleep: the k-sample bound for the model; wake, sleep or both for the posterior.

Formula: model: log (1/k) sum_i w_i; posterior: sum_i (w_i / sum w) log q(z_i|x), awake;
log q(z|x) at (x, z) from the model, asleep
Direction: lower (of the reported number).
Reference: Bornschein & Bengio 2014, arXiv 1406.2751, and its code; Finke & Thiery 2019,
arXiv 1907.10477, eq. 7-8. phi = "both" weighs the phases alike, as `insomnia` = 1/2 in Pyro.
Bias: the reported number is the k-sample bound, which the model follows. The posterior descends
KL(p(z|x) || q(z|x)): awake on data, with a bias of O(1/k); asleep on the model's own, without.
"""

from tightbound.bounds import IWAE
from tightbound.core.errors import UsageError, at_least
from tightbound.gradients import ScoreFunction, Wake
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample
from tightbound.objectives.wake.sleep import Sleep

PHASES = ("wake", "wake_dreg", "sleep", "both")

ABOUT = About(example={"k": 4})


def rws(k: int, phi: str = "wake") -> Multisample | Sleep:
    """Reweighted wake-sleep; reports the k-sample importance weighted bound in nats.

    Latents may be continuous or discrete, in one layer or several, except with "wake_dreg".

    Args:
        k: Draws per datum in the wake phase.
        phi: Phase of the posterior: "wake", "sleep", "both", or "wake_dreg", the wake phase
            through reparameterised draws.

    Raises:
        UsageError: An unknown phase, k < 1, or k = 1 with a wake phase for the posterior, whose
            gradient would be noise of mean zero.
    """
    at_least(1, k=k)
    if phi not in PHASES:
        raise UsageError(f"expected phi out of {', '.join(PHASES)}, got {phi!r}")
    call = f"rws(k={k}, phi={phi!r})"
    if phi == "sleep":
        return Sleep(call, Multisample(call, IWAE(), ScoreFunction(), k), both=False)
    wake = Multisample(call, IWAE(), Wake(reparameterized=phi == "wake_dreg"), k)
    return Sleep(call, wake, both=True) if phi == "both" else wake
