"""Wake-sleep: Helmholtz machines, and the baseline of Kingma & Welling (2013).

Formula: model: log p(x, z) at z from q; posterior: log q(z|x) at (x, z) from the model
Direction: lower (of the reported ELBO).
Reference: Hinton, Dayan, Frey & Neal 1995, Science 268:1158, eq. 4 and 7; Kingma & Welling 2013,
arXiv 1312.6114, section 5.
Bias: the reported number is the ELBO, which the model follows and the posterior does not: that
descends KL(p(z|x) || q(z|x)) over the model's own data.
"""

from tightbound.bounds import ELBO
from tightbound.core.errors import at_least
from tightbound.gradients import ScoreFunction
from tightbound.objectives.contract import About
from tightbound.objectives.multisample.multisample import Multisample
from tightbound.objectives.wake.sleep import NEEDS, Sleep

ABOUT = About(requires=NEEDS)


def wake_sleep(samples: int = 1) -> Sleep:
    """Wake-sleep: log p(x, z) at draws of q for the model, dreams for the posterior; reports ELBO.

    Latents may be continuous or discrete, in one layer or several.

    Args:
        samples: Draws per datum in the wake phase. The sleep phase has one dream per datum.

    Raises:
        UsageError: samples < 1.
    """
    at_least(1, samples=samples)
    call = f"wake_sleep(samples={samples})"
    # The gradient's part for the posterior is not used, and costs nothing for it.
    return Sleep(call, Multisample(call, ELBO(), ScoreFunction(), samples), both=False)
