"""The ELBO with its divergence weighed by beta, which rises to one over the first epochs.

Formula: (1/L) sum_l [log p(x|z_l) + beta_t (log p(z_l) - log q(z_l|x))], beta_t = start ... 1
Direction: lower (the ELBO is reported).
Reference: Bowman et al. 2016, arXiv 1511.06349, section 3.1 (KL annealing); Sonderby et al. 2016,
arXiv 1602.02282, section 2.2 (warm-up of several layers).
Bias: until beta is one the gradient is not that of the ELBO. The reported number is the ELBO
itself, with beta = 1, from the first epoch on.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items
from tightbound.models.weights import sample, split_each
from tightbound.objectives.contract import About, Params, Step, differentiated
from tightbound.objectives.multisample.reports_elbo import AbstractReportsELBO, plain_elbo


class Annealed(AbstractReportsELBO):
    """(1/L) sum_l log p(x|z_l) + beta (log p(z_l) - log q(z_l|x)), differentiated as it stands."""

    epochs: int = eqx.field(static=True)
    start: float = eqx.field(static=True)
    beta: Float[Array, ""]
    """A number of the program, not a constant in it: all epochs share one compilation."""

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"annealed(epochs={self.epochs}, samples={self.plain.k}, start={self.start})"

    def at(self, epoch: int) -> "Annealed":
        """The same with the beta of an epoch, counted from 0."""
        beta = self.start + (1.0 - self.start) * min(1.0, epoch / self.epochs)
        return eqx.tree_at(lambda o: o.beta, self, jnp.asarray(beta, self.beta.dtype))

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients of the weighed bound, and the ELBO per datum in nats."""
        x = items.data

        def values(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
            z, log_q_z = sample(params.posterior, x, split_each(keys, self.plain.k))
            log_prior = jax.vmap(jax.vmap(params.model.log_prior, in_axes=(None, 0)))(x, z)
            log_lik = jax.vmap(jax.vmap(params.model.log_likelihood, in_axes=(None, 0)))(x, z)
            divergence = log_q_z - log_prior
            beta = jnp.astype(self.beta, log_lik.dtype)
            # Combined draw by draw: a fifth faster on CPU than means that are combined.
            climbed = jnp.mean(log_lik - beta * divergence, axis=1)
            return climbed, jnp.mean(log_lik - divergence, axis=1)

        return differentiated(values, params), state


ABOUT = About(example={"epochs": 4})


def annealed(epochs: int, samples: int = 1, start: float = 0.0) -> Annealed:
    """The ELBO, trained with KL(q || p) weighed by beta rising linearly to one; nats, lower bound.

    Args:
        epochs: Epochs after which beta is one.
        samples: Draws per datum.
        start: The first beta, between 0 and 1.

    Raises:
        UsageError: epochs < 1, samples < 1, or another start.
    """
    at_least(1, epochs=epochs, samples=samples)
    if not 0 <= start <= 1:
        raise UsageError(f"expected start between 0 and 1, got {start}")
    return Annealed(plain_elbo(samples), epochs, float(start), jnp.asarray(start, jnp.float32))
