"""The evidence lower bound of a mixture, with draws from each of its components.

Formula: sum_c share_c (1/S) sum_s [log p(x, z_cs) - log q(z_cs|x)], z_cs from component c
Direction: lower.
Reference: Morningstar et al. 2021, arXiv 2003.01687; Roeder, Wu & Duvenaud 2017, arXiv 1703.09194
(the score of log q left out, for mixtures too).
Bias: none for the ELBO of q. Shares are summed over, not drawn, so that all parameters have a
gradient through the draws; it is zero for each draw where q(z|x) is the exact posterior.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.errors import at_least
from tightbound.core.items import Items, One
from tightbound.core.streams import first_keys, numbered
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import (
    About,
    AbstractObjective,
    Params,
    Requires,
    Step,
    differentiated,
)

STRATA = Requires(("density",), ("density",), ("components",))


class Stratified(AbstractObjective):
    """The ELBO of a mixture from `samples` draws of every component."""

    samples: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """A lower bound."""
        return "lower"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"stratified(samples={self.samples})"

    @property
    def requires(self) -> Requires:
        """Densities of the model, and a mixture whose components can be drawn from."""
        return STRATA

    @property
    def draws(self) -> int:
        """Draws of z of each component behind the reported number."""
        return self.samples

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs a mixture."""
        check_requires(self, params)

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound per datum in nats."""
        return self._bound(params, params.posterior, items, keys)

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the negative mean bound, and the bound per datum in nats."""

        def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
            # The mean of d log q over all components is zero: its parameters are held fixed.
            held = jax.tree.map(
                lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf,
                params.posterior,
            )
            bound = self._bound(params, held, items, keys)
            return bound, bound

        return differentiated(values, params), state

    def _bound(
        self, params: Params, measured: Any, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The bound, with log q by the parameters of `measured`."""
        posterior = params.posterior
        each = jnp.arange(posterior.components)

        def one(x: One, key: PRNGKeyArray) -> Float[Array, ""]:
            def log_w(component: Int[Array, ""], key: PRNGKeyArray) -> Float[Array, ""]:
                z = posterior.sample_from(component, x, key=key)
                return params.model.log_joint(x, z) - measured.log_prob(z, x)

            def mean(component: Int[Array, ""]) -> Float[Array, ""]:
                draws = first_keys(numbered(key, component), self.samples)
                return jnp.mean(jax.vmap(lambda key: log_w(component, key))(draws))

            return jnp.exp(posterior.log_shares(x)) @ jax.vmap(mean)(each)

        return jax.vmap(one)(items.data, keys)


ABOUT = About(example={"samples": 4}, requires=STRATA)


def stratified(samples: int = 1) -> Stratified:
    """The ELBO of a mixture q(z|x) in nats, from draws of each component; a lower bound.

    A step costs `samples` draws for each component. Components start apart and find modes near
    them; none is sought beyond.

    Args:
        samples: Draws of z per component and datum.

    Raises:
        UsageError: samples < 1.
    """
    at_least(1, samples=samples)
    return Stratified(samples)
