"""Unbiased implicit variational inference: the ELBO of a semi-implicit q, climbed by its score.

Formula: E d/dz [log p(x, z) - log h(z|x)] dz/dphi, d/dz log h(z|x) = E_q(e|z, x) d/dz log q(z|e, x)
Direction: lower (the bound of sivi(k) is reported; the ELBO itself, which is climbed, is above it).
Reference: Titsias & Ruiz 2019, arXiv 1808.02078, equations 7 to 12.
Bias: the score of h is right in the mean for each z. The gradient wants it independent of the
noise behind z as well, which a chain forgets geometrically: chains that do not move give the
gradient of sivi(0), and long ones that of the ELBO. Bias falls with burn_in and to zero; none is
measured at 15 transitions on Gaussian mixtures. The reported number is low as that of sivi(k) is.
The step size follows earlier steps' acceptances, not those of the chains that it is used for.

The reverse conditional q(e|z, x) is sampled by Hamiltonian Monte Carlo that starts at the noise
which made z: an exact draw of it, so that every later state is one too, for any step size.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import at_least
from tightbound.core.items import Data, Items, One
from tightbound.core.streams import each_stream, first_keys
from tightbound.mcmc import adapted, check_tuning, transition
from tightbound.models.weights import split_each
from tightbound.objectives.contract import (
    About,
    Params,
    Requires,
    Step,
    differentiated,
)
from tightbound.objectives.semi_implicit.mixtures import (
    AbstractSemiImplicitObjective,
    Draws,
    draw,
    log_weights_with_own,
)

FIRST_STEP = 0.2
"""Length of the first leapfrog steps, that of the authors' toys."""
TUNING = 0.1
"""Change of the step size's logarithm per step and unit of acceptance."""

NEEDS = Requires(("density", "score"), ("density", "score"), ("mixture",))


class UIVI(AbstractSemiImplicitObjective):
    """The ELBO's gradient, the score of h averaged over draws of the reverse conditional."""

    samples: int = eqx.field(static=True)
    burn_in: int = eqx.field(static=True)
    transitions: int = eqx.field(static=True)
    leapfrog: int = eqx.field(static=True)
    acceptance: float = eqx.field(static=True)
    k: int = eqx.field(static=True)

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return (
            f"uivi(samples={self.samples}, burn_in={self.burn_in}, "
            f"transitions={self.transitions}, leapfrog={self.leapfrog}, "
            f"acceptance={self.acceptance}, k={self.k})"
        )

    @property
    def requires(self) -> Requires:
        """Densities of the model with their scores, and an explicit layer given noise."""
        return NEEDS

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Float[Array, ""]:
        """The logarithm of the first step size."""
        del params, n, key
        return jnp.log(jnp.asarray(FIRST_STEP, jnp.float32))

    def step(
        self, params: Params, state: Float[Array, ""], items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Float[Array, ""]]:
        """The step at the remembered step size, and the logarithm of the next one."""
        step, acceptance = self._step(params, state, items.data, keys)
        tuned = adapted(state, acceptance, target=self.acceptance, rate=TUNING)
        return step._replace(info={"acceptance": acceptance}), tuned

    def bound(
        self, params: Params, state: Float[Array, ""], items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound of `sivi(k)` per datum in nats, whatever the step size."""
        del state

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            draws = draw(params.posterior, x, key, self.samples, self.k)
            return jnp.mean(log_weights_with_own(params, draws, x))

        return jax.vmap(one)(items.data, keys)

    def _step(
        self,
        params: Params,
        log_step: Float[Array, ""],
        x: Data,
        keys: Key[Array, " n"],
    ) -> tuple[Step, Float[Array, ""]]:
        """The step, and the mean acceptance of its chains."""

        def drawn(posterior: Any) -> Draws:
            one = lambda x, key: draw(posterior, x, key, self.samples, self.k)  # noqa: E731
            return jax.vmap(one)(x, keys)

        start = drawn(params.posterior)
        chain_keys = each_stream(keys, "uivi.chain")

        def score(x: One, mixing: Any, z: Any, key: PRNGKeyArray) -> Any:
            return self.score(params.posterior, x, mixing, z, jnp.exp(log_step), key)

        scores, acceptance = jax.vmap(jax.vmap(score, in_axes=(None, 0, 0, 0)))(
            x, start.mixing, start.z, split_each(chain_keys, self.samples)
        )
        scores = jax.lax.stop_gradient(scores)
        bound = jax.vmap(lambda x, draws: jnp.mean(log_weights_with_own(params, draws, x)))(
            x, start
        )

        def one(params: Params, x: One, z: Any, score: Any) -> Float[Array, ""]:
            # The gradient along z is that of log p(x, z) - log h(z|x). None is needed in the
            # parameters of h: its score in them has the mean zero.
            along = jax.tree.map(lambda a, b: jnp.sum(a * b), score, z)
            return params.model.log_joint(x, z) - sum(jax.tree.leaves(along))

        def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
            each = jax.vmap(jax.vmap(one, in_axes=(None, None, 0, 0)), in_axes=(None, 0, 0, 0))
            climbed = each(params, x, drawn(params.posterior).z, scores)
            return jnp.mean(climbed, axis=1), bound

        return differentiated(values, params), jnp.mean(acceptance)

    def score(
        self,
        posterior: Any,
        x: One,
        mixing: Any,
        z: Any,
        step_size: Float[Array, ""],
        key: PRNGKeyArray,
    ) -> tuple[Any, Float[Array, ""]]:
        """An unbiased d/dz log h(z|x), and the mean acceptance of the chain behind it.

        Args:
            posterior: The semi-implicit q(z|x).
            x: The datum.
            mixing: The noise that made z, where the chain starts.
            z: The draw.
            step_size: Length of a leapfrog step.
            key: Key of the chain.
        """

        def log_reverse(mixing: Any) -> Float[Array, ""]:
            log_noise = posterior.log_prob_mixing(mixing, x)
            return log_noise + posterior.log_prob_given(z, mixing, x)

        def move(mixing: Any, key: PRNGKeyArray) -> tuple[Any, tuple[Any, Float[Array, ""]]]:
            mixing, acceptance = transition(
                log_reverse, mixing, step_size, leapfrog=self.leapfrog, key=key
            )
            return mixing, (mixing, acceptance)

        keys = first_keys(key, self.burn_in + self.transitions)
        _, (states, acceptance) = jax.lax.scan(move, mixing, keys)
        kept = jax.tree.map(lambda states: states[self.burn_in :], states)
        each = jax.vmap(jax.grad(posterior.log_prob_given), in_axes=(None, 0, None))
        scores = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), each(z, kept, x))
        return scores, jnp.mean(acceptance)


ABOUT = About(requires=NEEDS)


def uivi(
    samples: int = 1,
    burn_in: int = 5,
    transitions: int = 5,
    leapfrog: int = 5,
    acceptance: float = 0.9,
    k: int = 50,
) -> UIVI:
    """The ELBO of a semi-implicit q(z|x) by its score; reports `sivi(k)`; nats, lower bound.

    The defaults are those of Titsias & Ruiz (2019). A step costs (burn_in + transitions) times
    leapfrog gradients of the explicit layer for each draw, whatever k. Fragile where the explicit
    layer is much narrower than h: the chains then hardly move from the noise that they start at,
    and the gradient is nearly that of `sivi(0)`, under which the noise collapses. More burn_in
    or leapfrog steps help; so does a start with a wide layer.

    Args:
        samples: Draws of z per datum.
        burn_in: Transitions that are thrown away, so that the chain forgets the noise behind z.
        transitions: Transitions that are averaged over.
        leapfrog: Leapfrog steps in a transition.
        acceptance: The step size is tuned to this probability of acceptance, over the steps.
        k: Fresh noises of the reported bound; they play no part in the gradient.

    Raises:
        UsageError: A number that is too small, or an acceptance that is not between 0 and 1.
    """
    check_tuning(leapfrog=leapfrog, acceptance=acceptance)
    at_least(0, burn_in=burn_in, k=k)
    at_least(1, samples=samples, transitions=transitions)
    return UIVI(samples, burn_in, transitions, leapfrog, float(acceptance), k)
