"""What chains that start from one draw of p(z|x) share, and their spread does not show.

With g_t the increment of beta and V_t what tilt varies by over draws of temperature t, chains from
one z vary by v_t < V_t as long as they remember it; the rest is the variance, over z, of tilt's
mean given z. By Minkowski's inequality log w has then at most the standard deviation

    sum_t g_t sqrt(V_t - v_t)

over z that all chains have in common. V_t is that of pilot chains which go forward. The sum ends at
the first temperature where nothing is remembered: what follows is noise. One transition may leave
most z where they are while a few go far, so that the first step counts in full.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

FORGOTTEN = 0.02
"""Share of the variance that counts as none."""


def shared(
    betas: Float[Array, " t_and_start"],
    usual: Float[Array, " t"],
    deviation: Float[Array, "t n"],
) -> Float[Array, " n"]:
    """The most standard deviation in nats that chains from one z have in common, of each datum.

    Args:
        betas: Inverse temperatures from 0 to 1, and 1 where the path has ended.
        usual: Standard deviation of tilt over independent chains at each of them but the last.
        deviation: The same over the chains of each datum that go backwards.
    """
    all_of_it = (usual**2)[:, None]
    steps = jnp.diff(betas)[:, None]
    later = jnp.append(steps[1:] > 0, jnp.zeros((1, 1), bool), axis=0)
    missing = all_of_it - jnp.where(later, deviation**2, 0.0)
    # Backwards from the last temperature; where steps have no length there is none.
    remembered = (missing > FORGOTTEN * all_of_it) | (steps <= 0)
    so_far = jnp.cumprod(remembered[::-1].astype(missing.dtype), axis=0)[::-1]
    return jnp.sum(steps * so_far * jnp.sqrt(jnp.maximum(missing, 0.0)), axis=0)
