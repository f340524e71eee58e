"""The ladder's annealing: from the mixture, or from where climbs start, to the density.

Reference: Neal 2001, Stat. Comput. 11. Chains move in units in which the mixture's covariance is
the identity; step sizes are found by pilots of their own.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.streams import first_keys, stream
from tightbound.distributions import AbstractExplicit
from tightbound.evidence.annealing.ais import forwards, tuned_path
from tightbound.evidence.ladder.cover import Cover
from tightbound.evidence.ladder.rungs import Drawn
from tightbound.evidence.ladder.units import Units, Whitened
from tightbound.mcmc import untuned

CHAINS = 64
PILOTS = 8
LEAPFROG = 5
ACCEPTANCE = 0.7
LENGTH = 4096
"""Places of a path, and so the most temperatures."""
WIDE = 3.0
"""Standard deviation of the start where there is no prior, in units of the mixture's."""


def cost(temperatures: int) -> int:
    """Gradients that annealing takes."""
    return (2 * PILOTS + CHAINS) * temperatures * (LEAPFROG + 2)


def annealed(
    units: Units, cover: Cover, temperatures: int, root: PRNGKeyArray, *, from_start: bool
) -> Drawn:
    """Ends of `CHAINS` chains in units u, and their log-weights.

    Args:
        units: What u is.
        cover: What has been found, in these units.
        temperatures: Steps of the path.
        root: Where the chains' noise comes from.
        from_start: From the prior (where it cannot be drawn, from a wide normal about the cover)
            instead of from the mixture.
    """
    mean, covariance = cover.moments()
    square = np.linalg.cholesky(covariance)
    target = Whitened(_within(units, mean, square))
    base: AbstractExplicit | None = None
    if not from_start:
        back = np.linalg.inv(square)
        location = (cover.location - mean) @ back.T
        base = Cover(location, back @ cover.factor, cover.log_mass).mixture
    elif "samples" not in units.model.prior.offers:
        wide = np.diag(np.full(units.dim, WIDE))
        base = Cover(np.zeros((1, units.dim)), wide[None], np.zeros(1)).mixture
    nothing = jnp.zeros((1, 0))
    path = tuned_path(
        target,
        base,
        untuned("sigmoid", temperatures, LENGTH),
        nothing,
        first_keys(stream(root, "ladder.pilot"), PILOTS)[None],
        leapfrog=LEAPFROG,
        acceptance=ACCEPTANCE,
    )
    chains = first_keys(stream(root, "ladder.chains"), CHAINS)[None]
    passed = forwards(target, base, path, nothing, chains, leapfrog=LEAPFROG)
    ends = mean + np.asarray(passed.z[0], np.float64) @ square.T
    return Drawn(ends, np.asarray(passed.log_w[0], np.float64))


def _within(units: Units, mean: Float[np.ndarray, " d"], square: Float[np.ndarray, "d d"]) -> Units:
    """Units in which the cover has mean zero and covariance one."""
    centre, factor = (np.asarray(a, np.float64) for a in (units.centre, units.factor))
    return Units.of(units.model, units.x, centre + factor @ mean, factor @ square)
