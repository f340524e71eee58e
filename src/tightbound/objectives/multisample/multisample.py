"""Multi-sample objectives: any bound on the log-weights with any gradient estimator.

One forward and one backward pass per draw serve every estimator: the model's cotangent goes
through the likelihood once, and the path's is that same cotangent rescaled per draw.

Reference: Kingma & Welling 2013, arXiv 1312.6114; Burda et al. 2015, arXiv 1509.00519.
Bias: that of the bound against log p(x), and that of the gradient against the bound.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.bounds import AbstractBound
from tightbound.core.errors import UsageError
from tightbound.core.items import Data, Items
from tightbound.core.streams import stream
from tightbound.gradients import AbstractGradient, Coefficients, SingleSample, Wake
from tightbound.models.weights import log_joint, log_q, log_weights, sample, split_each
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import AbstractObjective, Params, Step

TINY = 1e-18


class Multisample(AbstractObjective):
    """A bound on k draws per datum, differentiated by one estimator."""

    call: str = eqx.field(static=True)
    bound_on_draws: AbstractBound
    gradient: AbstractGradient
    k: int = eqx.field(static=True)
    bound_of_posterior: AbstractBound | None = None
    """What q follows, if not the bound that is reported and that the model follows."""

    def __check_init__(self) -> None:
        """Refuses in words an estimator that the bounds do not have."""
        followed = self.bound_of_posterior
        self.gradient.check(self.bound_on_draws if followed is None else followed, self.k)
        if followed is not None and isinstance(self.gradient, SingleSample):
            raise UsageError(
                f"{self.gradient.name!r} draws by the weights of one bound, but {self.call} has "
                f"two; use gradient={self.gradient.inner.name!r}"
            )

    @property
    def kind(self) -> str:
        """The bound's direction."""
        return self.bound_on_draws.kind

    @property
    def draws(self) -> int:
        """Draws of z per datum behind the reported number."""
        return self.k

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return self.call

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    @property
    def one_bound(self) -> bool:
        """Unless the posterior follows another one."""
        return self.bound_of_posterior is None and not isinstance(_inner(self.gradient), Wake)

    def check(self, params: Params) -> None:
        """Needs the densities of posterior and model, and draws that can be differentiated."""
        check_requires(self, params)
        if self.gradient.through_draws and not params.posterior.reparameterized:
            raise UsageError(
                f"the gradient {self.gradient.name!r} differentiates through the draws, and those "
                f"of {type(params.posterior).__name__} are {_not_smooth(params.posterior)}; use "
                "'vimco', 'score_function', 'score_function_cv' or 'wake'"
            )
        if not params.posterior.fixed_support and not self.gradient.total:
            raise UsageError(
                f"the gradient {self.gradient.name!r} takes the mean of d log q to be zero, which "
                "it need not be where the support of q moves with its parameters; use "
                "'reparameterized'"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats."""
        log_w = log_weights(params.model, params.posterior, items.data, split_each(keys, self.k))
        return jax.vmap(self.bound_on_draws.value)(log_w)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""
        draw_keys = split_each(keys, self.k)
        if not isinstance(self.gradient, SingleSample):
            return self._all_draws(params, items.data, draw_keys), state
        return self._chosen_draws(params, self.gradient, items.data, keys, draw_keys), state

    def coefficients(self, log_w: Float[Array, "n k"]) -> Coefficients:
        """The weights of each draw's terms."""
        if self.bound_of_posterior is None:
            return self.gradient.of_batch(self.bound_on_draws, log_w)
        of_posterior = self.gradient.of_batch(self.bound_of_posterior, log_w)
        return of_posterior._replace(model=jax.vmap(self.bound_on_draws.weights)(log_w))

    def _all_draws(self, params: Params, x: Data, draw_keys: Key[Array, "n k"]) -> Step:
        passes = _Forward.at(params, x, draw_keys)
        log_w = jax.lax.stop_gradient(passes.log_w)
        bound = jax.vmap(self.bound_on_draws.value)(log_w)
        return Step(passes.pull_back(self.coefficients(log_w)), bound)

    def _chosen_draws(
        self,
        params: Params,
        gradient: SingleSample,
        x: Data,
        keys: Key[Array, " n"],
        draw_keys: Key[Array, "n k"],
    ) -> Step:
        """Forward passes for all draws; forward and backward for the chosen ones."""
        log_w = log_weights(params.model, params.posterior, x, draw_keys)
        coefficients = self.coefficients(log_w)

        def choose(key: PRNGKeyArray, row: Coefficients) -> Any:
            chosen = gradient.choose(row.model, key=stream(key, "multisample.choice"))
            return chosen, gradient.of_chosen(row, chosen)

        chosen, of_chosen = jax.vmap(choose)(keys, coefficients)
        chosen_keys = jax.vmap(lambda row, index: row[index])(draw_keys, chosen)
        bound = jax.vmap(self.bound_on_draws.value)(log_w)
        return Step(_Forward.at(params, x, chosen_keys).pull_back(of_chosen), bound)


def _inner(gradient: AbstractGradient) -> AbstractGradient:
    return gradient.inner if isinstance(gradient, SingleSample) else gradient


def _not_smooth(posterior: Any) -> str:
    """Why draws cannot be differentiated, in words."""
    if "components" in posterior.offers:
        return "of one component each, which no gradient chooses: use the objective 'stratified'"
    return "discrete"


@dataclasses.dataclass
class _Forward:
    """One forward pass over n data and k draws, and how to pull weights back through it."""

    posterior: Any
    x: Data
    z: Any
    log_w: Float[Array, "n k"]
    pull_sample: Any
    pull_joint: Any

    @staticmethod
    def at(params: Params, x: Data, draw_keys: Key[Array, "n k"]) -> "_Forward":
        (z, log_q_z), pull_sample = eqx.filter_vjp(
            lambda q: sample(q, x, draw_keys), params.posterior
        )
        log_p, pull_joint = eqx.filter_vjp(lambda p, z: log_joint(p, x, z), params.model, z)
        return _Forward(params.posterior, x, z, log_p - log_q_z, pull_sample, pull_joint)

    def pull_back(self, weights: Coefficients) -> Params:
        """Descent gradients of the negative mean of sum_i (weights of draw i) d log w_i."""
        n = self.log_w.shape[0]
        score = jnp.zeros_like(self.log_w) if weights.score is None else -weights.score / n
        if weights.path is None:
            grads_model, _ = self.pull_joint(-weights.model / n)
            _, pull_score = eqx.filter_vjp(lambda q: log_q(q, self.x, self.z), self.posterior)
            (grads_posterior,) = pull_score(score)
            return Params(grads_model, grads_posterior)
        # One pass through the likelihood serves the model and, rescaled for each draw, the path.
        # The tiny weight in place of zero keeps the ratio finite and changes no gradient.
        model = -weights.model / n
        model = jnp.where(jnp.abs(model) < TINY, jnp.where(model < 0, -TINY, TINY), model)
        path = -weights.path / n
        grads_model, z_of_joint = self.pull_joint(model)
        # sample() differentiates log q in total, score and path; what its cotangent brings along
        # the path is taken off here, so that path and score keep their own weights.
        _, pull_log_q = jax.vjp(lambda z: log_q(self.posterior, self.x, z), self.z)
        (z_of_log_q,) = pull_log_q(path + score)

        def along_path(joint: Float[Array, "n k *s"], log_q: Float[Array, "n k *s"]) -> Any:
            ratio = (path / model).reshape(joint.shape[:2] + (1,) * (joint.ndim - 2))
            return ratio * joint - log_q

        z_bar = jax.tree.map(along_path, z_of_joint, z_of_log_q)
        (grads_posterior,) = self.pull_sample((z_bar, score))
        return Params(grads_model, grads_posterior)
