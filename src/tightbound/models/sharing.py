"""Numbers that a model and its posterior share: the encoder in a `VampPrior` is the posterior.

A fit moves both parts by their gradients. Here the encoder's gradient becomes the posterior's, and
after a step the encoder is what the posterior has become.
"""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from tightbound.core.errors import UsageError
from tightbound.distributions import TopDown, VampPrior, WithNoise
from tightbound.models.bayesian import Bayesian


def shares(model: Any) -> bool:
    """Whether the model's prior is made of its posterior."""
    return bool(_priors(model))


def tied(model: Any, posterior: Any) -> Any:
    """The model with the posterior as it is within its prior; trees of arrays alone will do."""
    if not shares(model):
        return model
    return _with_encoder(model, encoder_of(posterior))


def folded(of_model: Any, of_posterior: Any) -> tuple[Any, Any]:
    """Gradients of both parts, with the encoder's in the posterior's and none left in the model."""
    if not shares(of_model):
        return of_model, of_posterior
    (prior,) = _priors(of_model)
    # Where the encoder is a piece of the posterior, its gradient belongs to that piece.
    _, pull = jax.vjp(encoder_of, of_posterior)
    (beside,) = pull(prior.encoder)
    none = jax.tree.map(jax.numpy.zeros_like, prior.encoder)
    return _with_encoder(of_model, none), jax.tree.map(jax.numpy.add, of_posterior, beside)


def encoder_of(posterior: Any) -> Any:
    """The conditional of z given x, or of the top layer, that a prior may be made of.

    Raises:
        UsageError: The top layer is given other layers, and not x alone.
    """
    if isinstance(posterior, WithNoise):
        return encoder_of(posterior.inner)
    if isinstance(posterior, TopDown):
        return posterior.top
    if hasattr(posterior, "conditionals"):
        raise UsageError(
            "prior='vamp' is made of the top layer's q(h_L|x): expected inference='top_down', or "
            "one layer"
        )
    return posterior


def check_shared(model: Any, posterior: Any) -> None:
    """Refuses a posterior other than the one that the prior is made of.

    Raises:
        UsageError: It is another, or the model is a distribution over models.
    """
    if not shares(model):
        return
    if isinstance(model, Bayesian):
        raise UsageError("a prior that is made of the posterior takes no part in full_vb")
    inside, beside = (
        jax.tree.flatten(eqx.filter(part, eqx.is_array))
        for part in (_priors(model)[0].encoder, encoder_of(posterior))
    )
    same = inside[1] == beside[1] and all(
        np.array_equal(a, b) for a, b in zip(inside[0], beside[0], strict=True)
    )
    if not same:
        raise UsageError(
            "the model's prior is made of its posterior, and this is another: expected the "
            "posterior that came with the model"
        )


def _priors(tree: Any) -> list[VampPrior]:
    is_prior = lambda node: isinstance(node, VampPrior)  # noqa: E731
    return [node for node in jax.tree.leaves(tree, is_leaf=is_prior) if is_prior(node)]


def _with_encoder(model: Any, encoder: Any) -> Any:
    return eqx.tree_at(
        lambda model: _priors(model)[0].encoder, model, encoder, is_leaf=lambda x: x is None
    )
