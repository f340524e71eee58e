"""Semi-supervised learning: the ELBO with labels where they are known and summed over where not.

Formula: L(x, y) where y is known, sum_y q(y|x) [L(x, y) - log q(y|x)] where not, and beside it
alpha E[log q(y|x)] over data with labels; L(x, y) = log p(y) + (1/S) sum_s log w(x, y, z_s)
Direction: none (lower on log p(x, y) where y is known, and on log p(x) where it is not).
Reference: Kingma, Rezende, Mohamed & Welling 2014, arXiv 1406.5298, eq. 6-9 (model M2).
Bias: the classifier's term is no part of a bound; the reported number is without it.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Items, One
from tightbound.distributions import LabelledPosterior, OverLabels
from tightbound.models.labelled import log_weights_by_label
from tightbound.objectives.compatibility import check_requires
from tightbound.objectives.contract import (
    About,
    AbstractObjective,
    Params,
    Requires,
    Step,
    differentiated,
)

LABELLED = Requires(("density",), ("density",), ("components",))


class M2(AbstractObjective):
    """The ELBO of data of which some have labels, and a classifier that learns from these."""

    alpha: float = eqx.field(static=True)
    samples: int = eqx.field(static=True)
    beside: int = eqx.field(static=True)

    @property
    def kind(self) -> str:
        """Of each datum another quantity has a bound."""
        return "none"

    @property
    def description(self) -> str:
        """The call that makes this objective."""
        return f"m2(alpha={self.alpha}, samples={self.samples}, labelled={self.beside})"

    @property
    def reports(self) -> str:
        """What the number is."""
        return f"{self.description}: ELBO of (x, y) where y is known, of x where it is not"

    @property
    def requires(self) -> Requires:
        """Densities, and a posterior with a component for each label."""
        return LABELLED

    @property
    def draws(self) -> int:
        """Draws of z for each datum and label."""
        return self.samples

    @property
    def labelled(self) -> int:
        """So many for the classifier's term."""
        return self.beside

    @property
    def holes(self) -> bool:
        """Values may be missing."""
        return True

    def check(self, params: Params) -> None:
        """Needs a model whose label is summed over, and its posterior."""
        check_requires(self, params)
        labelled = isinstance(params.posterior, LabelledPosterior)
        if not labelled or not isinstance(params.model.likelihood, OverLabels):
            raise UsageError(
                "m2 needs a model with labels: expected both parts of tb.models.labelled, got "
                f"{type(params.model.likelihood).__name__} and {type(params.posterior).__name__}"
            )

    def bound(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> Float[Array, " n"]:
        """The ELBO per datum in nats."""
        data = items.data
        by_label = jax.vmap(lambda x, key: _by_label(params, x, key, self.samples))(data, keys)
        log_q = jax.vmap(params.posterior.log_shares)(data)
        unknown = jnp.sum(jnp.exp(log_q) * (by_label - log_q), axis=1)
        if items.label is None:
            return unknown
        return jnp.where(items.label < 0, unknown, _at(by_label, items.label))

    def step(
        self, params: Params, state: None, items: Items, keys: Key[Array, " n"]
    ) -> tuple[Step, None]:
        """Gradients with the classifier's term, and the ELBO per datum in nats."""

        def climbed(params: Params) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
            bound = self.bound(params, state, items, keys)
            if items.labelled is None:
                return bound, bound
            log_q = jax.vmap(params.posterior.log_shares)(items.labelled.data)
            return bound + self.alpha * jnp.mean(_at(log_q, items.labelled.label)), bound

        return differentiated(climbed, params), state


def _by_label(params: Params, x: One, key: PRNGKeyArray, samples: int) -> Float[Array, " classes"]:
    """L(x, y) of one datum for each label, with draws of z of its own."""
    log_w = log_weights_by_label(params.model, params.posterior, x, key, samples)
    return jnp.mean(log_w, axis=1) + params.model.likelihood.log_prior


def _at(each: Float[Array, "n classes"], label: Any) -> Float[Array, " n"]:
    """Of each row the entry of its label, and of those without one the first."""
    return jnp.take_along_axis(each, jnp.maximum(label, 0)[:, None], axis=1)[:, 0]


ABOUT = About(requires=LABELLED)


def m2(alpha: float = 0.1, samples: int = 1, labelled: int = 100) -> M2:
    """The ELBO of a semi-supervised model in nats, for labels that are mostly missing.

    Data come with labels by `tb.source(model, x, labels=...)`, -1 where one is not known. A step
    costs as many passes through the networks as there are labels.

    Args:
        alpha: Weight of the classifier's log-likelihood, a mean over data with labels.
        samples: Draws of z per datum and label.
        labelled: Data with labels that each step draws for the classifier's term, beside its
            minibatch.

    Raises:
        UsageError: A negative alpha, samples < 1 or labelled < 1.
    """
    if not alpha >= 0:
        raise UsageError(f"expected alpha >= 0, got {alpha}")
    at_least(1, samples=samples, labelled=labelled)
    return M2(float(alpha), samples, labelled)
