"""Monte Carlo EM: draws of the exact posterior by Hamiltonian Monte Carlo, no encoder needed.

Formula: log p(x, z), z the last state of a chain that leaves p(z|x) as it is
Direction: none (log p(x, z) at the chain's draws is reported).
Reference: Kingma & Welling 2013, arXiv 1312.6114, appendix E; Wei & Tanner 1990, JASA 85(411).
By Fisher's identity the mean of d log p(x, z) over p(z|x) is d log p(x).
Bias: each datum's chain goes on from where it stood, so that its state lags behind the posterior
of parameters that have moved since; none where chains are long in comparison. No bound on
log p(x) comes with it.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, Items, One
from tightbound.core.streams import first_keys
from tightbound.distributions import AbstractExplicit
from tightbound.distributions.contracts import prior_given
from tightbound.mcmc import adapted, chain, check_moves, check_tuning, transition
from tightbound.models.shapes import like_condition
from tightbound.models.weights import split_each
from tightbound.objectives.contract import (
    About,
    AbstractObjective,
    Params,
    Requires,
    Step,
    differentiated,
)

NEEDS = Requires(("samples", "density", "score"), ("density", "score"), ())

FIRST_STEP = 0.1
"""Length of the first leapfrog steps, before any tuning."""
TUNING = 0.1
"""Change of the step size's logarithm per transition and unit of acceptance."""


class Chains(NamedTuple):
    """What is kept between steps: one chain for each training datum, and their step size."""

    z: Any
    """States of shape (n, ...)."""
    log_step: Float[Array, ""]
    turn: Int[Array, ""]


class MCEM(AbstractObjective):
    """log p(x, z) at draws z of the exact posterior, differentiated in the model's parameters."""

    leapfrog: int = eqx.field(static=True)
    acceptance: float = eqx.field(static=True)
    updates_per_draw: int = eqx.field(static=True)
    transitions: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """No bound: log p(x, z) lies on either side of log p(x)."""
        return "none"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return (
            f"mcem(leapfrog={self.leapfrog}, acceptance={self.acceptance}, "
            f"updates={self.updates_per_draw}, transitions={self.transitions})"
        )

    @property
    def requires(self) -> Requires:
        """Densities of the model with their scores; a posterior may be left out."""
        return NEEDS

    @property
    def updates(self) -> int:
        """Weight updates for each acquired draw."""
        return self.updates_per_draw

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs a prior whose log-density has a gradient on all of R^d."""
        check_moves(params.model.prior, "mcem")
        q = params.posterior
        if q is not None and not (isinstance(q, AbstractExplicit) and q.fixed_support):
            raise UsageError(
                "mcem fits log q(z|x) at draws of p(z|x), which may lie anywhere: expected a "
                "posterior with a density on all real numbers, or None, got "
                f"{type(q).__name__}"
            )

    def init(self, params: Params, n: int, key: PRNGKeyArray) -> Chains:
        """Every chain starts at a draw of the prior: of p(z|c) that for a condition of zeros."""
        beside = like_condition(params.model)
        z = jax.vmap(lambda key: params.model.prior.sample(beside, key=key))(first_keys(key, n))
        dtype = jax.tree.leaves(z)[0].dtype
        return Chains(z, jnp.log(jnp.asarray(FIRST_STEP, dtype)), jnp.zeros([], jnp.int32))

    def step(
        self, params: Params, state: Chains, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, Chains]:
        """One transition of the minibatch's chains, then `updates` steps at where they stand."""
        x, rows = items.data, items.rows
        z = jax.tree.map(lambda states: states[rows], state.z)
        step_size = jnp.exp(state.log_step)

        def move(z: Any) -> tuple[Any, Float[Array, ""]]:
            def one(x: One, z: Any, key: PRNGKeyArray) -> Any:
                return transition(
                    lambda z: params.model.log_joint(x, z),
                    z,
                    step_size,
                    leapfrog=self.leapfrog,
                    key=key,
                )

            z, acceptance = jax.vmap(one)(x, z, keys)
            return z, adapted(
                state.log_step, jnp.mean(acceptance), target=self.acceptance, rate=TUNING
            )

        z, log_step = jax.lax.cond(
            state.turn % self.updates == 0, move, lambda z: (z, state.log_step), z
        )
        states = jax.tree.map(lambda all, some: all.at[rows].set(some), state.z, z)
        return _at(params, x, z), Chains(states, log_step, state.turn + 1)

    def bound(
        self, params: Params, state: Chains, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """Log p(x, z) in nats at the ends of fresh chains from the prior."""
        del state
        return jax.vmap(params.model.log_joint)(items.data, self._fresh(params, items.data, keys))

    def _fresh(self, params: Params, x: Data, keys: Key[Array, " n"]) -> Any:
        """Where chains stand after `transitions` of them, started at the prior."""

        def one(x: One, keys: Key[Array, " t"]) -> Any:
            return chain(
                lambda z: params.model.log_joint(x, z),
                params.model.prior.sample(prior_given(params.model.prior, x), key=keys[0]),
                keys[1:],
                leapfrog=self.leapfrog,
                target=self.acceptance,
                step_size=FIRST_STEP,
            ).last

        return jax.lax.stop_gradient(jax.vmap(one)(x, split_each(keys, self.transitions + 1)))


def _at(params: Params, x: Data, z: Any) -> Step:
    """The model climbs log p(x, z); a posterior, if there is one, climbs log q(z|x)."""

    def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
        log_joint = jax.vmap(params.model.log_joint)(x, z)
        if params.posterior is None:
            return log_joint, log_joint
        return log_joint + jax.vmap(params.posterior.log_prob)(z, x), log_joint

    return differentiated(values, params)


ABOUT = About(requires=NEEDS)


def mcem(
    leapfrog: int = 10, acceptance: float = 0.9, updates: int = 5, transitions: int = 20
) -> MCEM:
    """Monte Carlo EM with Hamiltonian Monte Carlo over the posterior; nats, no bound.

    Every training datum keeps a chain, which moves once whenever its minibatch comes. The
    defaults are those of Kingma & Welling (2013). The model may be fitted alone,
    `tb.fit(model, None, x, objective=mcem())`; a posterior, if there is one, learns log q(z|x)
    at the chains' draws, as in the wake phase, and does not steer the model: then `tb.evaluate`
    has a proposal. The prior must be continuous on all real numbers.

    Args:
        leapfrog: Leapfrog steps in a transition.
        acceptance: The step size is tuned to this probability of acceptance.
        updates: Weight updates with each acquired draw.
        transitions: Length of the fresh chains on which validation data are measured; the step
            size is tuned over their first half.

    Raises:
        UsageError: A count below one, or an acceptance that is not between 0 and 1.
    """
    check_tuning(leapfrog=leapfrog, acceptance=acceptance)
    at_least(1, updates=updates, transitions=transitions)
    return MCEM(leapfrog, float(acceptance), updates, transitions)
