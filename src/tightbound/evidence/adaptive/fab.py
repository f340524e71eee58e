"""Flow annealed importance sampling bootstrap: a flow learns from annealed draws of its own.

Reference: Midgley, Stimper, Simm, Schoelkopf & Hernandez-Lobato 2023, arXiv 2208.01893, eq. 4-5
and algorithm 1 (with the prioritised buffer): annealing starts at the flow q and aims at p^2 / q,
the target of least variance for the gradient of the alpha-divergence with alpha = 2, which is the
variance of the weights p / q.
Bias: E[Z-hat] = Z exactly: the weights are those of fresh draws of the trained flow; the log is
low on average.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, plain
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import CouplingFlow
from tightbound.evidence.adaptive.adaptation import (
    AbstractAdaptation,
    LogDensity,
    Weighted,
    effective_share,
)
from tightbound.mcmc import Path, Problem, adapted, forward
from tightbound.models.weights import split_each

ACCEPTANCE = 0.65
FIRST_STEP = 0.3
"""First leapfrog step, relative to the start's standard deviation."""
MOST_CORRECTION = 10.0
"""Bound of exp(log q_old - log q), by which the paper's code corrects for a flow that has moved."""
LARGEST_GRADIENT = 100.0


class Buffer(NamedTuple):
    """Annealed draws that wait to be learned from."""

    u: Float[Array, "b d"]
    log_w: Float[Array, " b"]
    """Log of p^2 / q, under the flow of the time, over the annealed draw's density."""
    log_q: Float[Array, " b"]


class FAB(AbstractAdaptation):
    """A coupling flow trained on annealed draws of p^2 / q, then used as proposal.

    Args:
        each: Draws of the trained flow that make the estimate.
        rounds: Annealing runs, each followed by `updates` steps of Adam.
        updates: Minibatches from the buffer after each run.
        batch: Draws of a run, and of a minibatch.
        buffer: Runs that the buffer holds.
        temperatures: Steps of the annealing.
        leapfrog: Leapfrog steps of a transition.
        layers: Coupling layers.
        hidden: Widths of each layer's network.
        learning_rate: Adam's rate.

    Raises:
        UsageError: Numbers outside their range, or (when it runs) fewer than two latent dimensions.
    """

    each: int = eqx.field(static=True, converter=plain, default=5000)
    rounds: int = eqx.field(static=True, converter=plain, default=200)
    updates: int = eqx.field(static=True, converter=plain, default=4)
    batch: int = eqx.field(static=True, converter=plain, default=128)
    buffer: int = eqx.field(static=True, converter=plain, default=20)
    temperatures: int = eqx.field(static=True, converter=plain, default=5)
    leapfrog: int = eqx.field(static=True, converter=plain, default=5)
    layers: int = eqx.field(static=True, converter=plain, default=8)
    hidden: tuple[int, ...] = eqx.field(static=True, default=(32,))
    learning_rate: float = eqx.field(static=True, default=1e-3)

    def __check_init__(self) -> None:
        """Refuses numbers outside their range."""
        at_least(2, each=self.each, batch=self.batch)
        at_least(
            1,
            rounds=self.rounds,
            updates=self.updates,
            buffer=self.buffer,
            temperatures=self.temperatures,
            leapfrog=self.leapfrog,
            layers=self.layers,
            **{f"hidden[{i}]": width for i, width in enumerate(self.hidden)},
        )
        if not self.learning_rate > 0:
            raise UsageError(f"expected a learning rate above 0, got {self.learning_rate}")

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def words(self) -> str:
        """The settings."""
        return (
            f"{self.each} draws of a flow of {self.layers} coupling layers, trained by annealed "
            f"bootstrap: {self.rounds} rounds of {self.batch} chains with {self.temperatures} "
            f"temperatures, {self.updates} updates each"
        )

    @property
    def draws(self) -> int:
        """Those of the trained flow."""
        return self.each

    @property
    def at_once(self) -> int:
        """Training takes one datum at a time."""
        return 10_000

    def run(
        self, log_density: LogDensity, first: Float[Array, "s d"], key: PRNGKeyArray
    ) -> Weighted:
        """Training and estimate for one datum."""
        flow_key, fill_key, key, last_key = streams(
            key, "fab.flow", "fab.fill", "fab.rounds", "fab.last"
        )
        flow = CouplingFlow.identity(
            first.shape[1], layers=self.layers, hidden=self.hidden, key=flow_key
        )
        optimiser = optax.apply_if_finite(
            optax.chain(
                optax.clip_by_global_norm(LARGEST_GRADIENT), optax.adam(self.learning_rate)
            ),
            max_consecutive_errors=1000,
        )
        log_step = jnp.log(jnp.array(FIRST_STEP))

        def fill(log_step: Any, key: PRNGKeyArray) -> tuple[Any, Any]:
            drawn, log_step, share = self._annealed(flow, log_density, log_step, key)
            return log_step, (drawn, share)

        log_step, (drawn, _) = jax.lax.scan(fill, log_step, first_keys(fill_key, self.buffer))
        kept = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), drawn)

        def one(state: Any, turn: Any) -> tuple[Any, Any]:
            flow, memory, kept, log_step = state
            number, key = turn
            anneal_key, key = streams(key, "fab.anneal", "fab.updates")
            drawn, log_step, share = self._annealed(flow, log_density, log_step, anneal_key)
            at = (number % self.buffer) * self.batch
            kept = jax.tree.map(
                lambda a, new: jax.lax.dynamic_update_slice_in_dim(a, new, at, 0), kept, drawn
            )

            def update(state: Any, key: PRNGKeyArray) -> tuple[Any, None]:
                flow, memory, kept = state
                which = jax.random.categorical(key, kept.log_w, shape=(self.batch,))
                grads, log_q = _gradient(flow, kept.u[which], kept.log_q[which])
                # Optax mixes dtypes inside, which strict promotion would refuse.
                with jax.numpy_dtype_promotion("standard"):
                    moves, memory = optimiser.update(grads, memory, flow)
                # alpha = 2: the draw's weight is p^2 / (q_old ...), and q has moved since.
                log_w = kept.log_w[which] + kept.log_q[which] - log_q
                kept = kept._replace(
                    log_w=kept.log_w.at[which].set(log_w), log_q=kept.log_q.at[which].set(log_q)
                )
                return (eqx.apply_updates(flow, moves), memory, kept), None

            keys = first_keys(key, self.updates)
            (flow, memory, kept), _ = jax.lax.scan(update, (flow, memory, kept), keys)
            return (flow, memory, kept, log_step), share

        state = (flow, optimiser.init(flow), kept, log_step)
        turns = (jnp.arange(self.rounds), first_keys(key, self.rounds))
        (flow, _, _, _), shares = jax.lax.scan(one, state, turns)
        u, log_q = jax.vmap(lambda key: flow.sample_and_log_prob(key=key))(
            first_keys(last_key, self.each)
        )
        return Weighted(u, jax.vmap(log_density)(u) - log_q, shares)

    def _annealed(
        self,
        flow: CouplingFlow,
        log_density: LogDensity,
        log_step: Float[Array, ""],
        key: PRNGKeyArray,
    ) -> tuple[Buffer, Float[Array, ""], Float[Array, ""]]:
        """Draws on their way from q to p^2 / q, the next step size, and their effective share."""
        problem = Problem(
            lambda _, key: flow.sample(key=key),
            lambda _, u: flow.log_prob(u),
            lambda _, u: 2 * (log_density(u) - flow.log_prob(u)),
        )
        path = Path(
            jnp.linspace(0.0, 1.0, self.temperatures + 1),
            jnp.repeat(jnp.exp(log_step), self.temperatures),
            self.temperatures,
        )
        passed = forward(
            problem, path, jnp.zeros(1), split_each(key[None], self.batch), leapfrog=self.leapfrog
        )
        acceptance = jnp.mean(passed.acceptance)
        after = adapted(log_step, acceptance, target=ACCEPTANCE, rate=0.1)
        u, log_w = passed.z[0], passed.log_w[0]
        good = jnp.isfinite(log_w) & jnp.all(jnp.isfinite(u), axis=1)
        u = jnp.where(good[:, None], u, 0.0)
        drawn = Buffer(u, jnp.where(good, log_w, -jnp.inf), jax.vmap(flow.log_prob)(u))
        return drawn, after, effective_share(drawn.log_w)


def _gradient(
    flow: CouplingFlow, u: Float[Array, "b d"], old: Float[Array, " b"]
) -> tuple[Any, Float[Array, " b"]]:
    """Gradient of the loss on draws from the buffer, and log q of each of them."""

    def loss(flow: CouplingFlow) -> tuple[Float[Array, ""], Float[Array, " b"]]:
        log_q = jax.vmap(flow.log_prob)(u)
        correction = jnp.minimum(jnp.exp(old - jax.lax.stop_gradient(log_q)), MOST_CORRECTION)
        return -jnp.mean(correction * log_q), log_q

    (_, log_q), grads = eqx.filter_value_and_grad(loss, has_aux=True)(flow)
    return grads, log_q
