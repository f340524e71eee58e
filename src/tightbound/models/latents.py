"""Families of latent units: which posterior suits which prior, and how they are built.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.calls import Call
from tightbound.core.errors import UsageError
from tightbound.core.names import check_family, prior_call
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import (
    AbstractExplicit,
    Bernoulli,
    BernoulliPrior,
    Conditional,
    DiagonalNormal,
    Family,
    FamilyPrior,
    MixturePrior,
    OnFeatures,
    StandardNormal,
    VampPrior,
    by_name,
)
from tightbound.models.flow_posterior import flow_of_features
from tightbound.models.sharing import encoder_of
from tightbound.networks import Body, Features, Standardization

DISCRETE, FLOW, MIXTURE, VAMP = "bernoulli", "flow", "mixture", "vamp"
COMPONENTS = 50
"""Of a mixture, or pseudo-inputs, for which no number is given."""
WIDER = {"unit": ("positive", "real"), "positive": ("real",)}
"""The supports that hold another one; simplex and binary values have densities of their own."""


def check_latents(posterior: str, prior: str | None, latents: list[int]) -> Call:
    """The prior's family with its options, chosen by the posterior's if it is left out.

    Raises:
        UsageError: An unknown family, options that it does not take, a posterior whose draws may
            lie outside the support of the prior, or of another layer's conditional, or too few
            units for the family.
    """
    q = _known(posterior)
    call = prior_call(prior or (q.prior if q else None) or posterior)
    q_support = q.support if q else "binary"
    p_support = q_support if call.name == VAMP else _prior_support(call.name)
    if prior is not None and q_support != p_support and p_support not in WIDER.get(q_support, ()):
        moving = f" ({q.interval}, which moves with its parameters)" if q and q.interval else ""
        raise UsageError(
            f"expected a prior whose support holds the posterior's: draws of {posterior} are "
            f"{q_support}{moving}, those of the prior {prior} {p_support}"
        )
    if len(latents) > 1 and q is not None and not q.fixed_support:
        raise UsageError(
            f"expected a posterior of fixed support for several layers, got {posterior}: draws of "
            f"q(h_1|x) may lie outside the support {q.interval} of p(h_1|h_2)"
        )
    if q_support == "simplex" and min(latents) < 2:
        raise UsageError(f"expected 2 latent units or more on a simplex, got latent={latents}")
    return call


def check_pseudo_inputs(
    call: Call, view: Standardization | Features | None, *, condition: int, noise_driven: bool
) -> None:
    """Refuses a prior that is made of the posterior where its inputs cannot be learned.

    Raises:
        UsageError: A posterior without a density or one that is given a condition, or columns that
            are no real numbers.
    """
    if call.name != VAMP:
        return
    if noise_driven or condition:
        raise UsageError(
            "prior='vamp' is made of q(z|x) at pseudo-inputs: expected a posterior with a density, "
            "and no condition"
        )
    if isinstance(view, Features) and set(view.sees) - {"real", "arcsinh"}:
        raise UsageError(
            "prior='vamp' learns inputs by their gradients: expected columns of real numbers alone,"
            f" got some seen as {', '.join(sorted(set(view.sees) - {'real', 'arcsinh'}))}"
        )


def latent_prior(
    call: Call,
    size: int,
    posterior: AbstractExplicit,
    x: Float[np.ndarray, "n d"],
    *,
    key: PRNGKeyArray,
) -> AbstractExplicit:
    """The prior p(z) of that family: the standard member, or one that is learned.

    Of "vamp" it is made of the posterior, and begins at rows of the data x.
    """
    components = call.options.get("components", COMPONENTS)
    if call.name == VAMP:
        components = call.options.get("components", min(COMPONENTS, len(x)))
        return VampPrior.of(x, components, encoder_of(posterior), key=key)
    if call.name == DISCRETE:
        return BernoulliPrior(jnp.zeros(size))
    if call.name == MIXTURE:
        return MixturePrior.of(size, components, key=key)
    if call.options.get("learned"):
        return FamilyPrior.learned(size, call.name)
    return StandardNormal(size) if call.name == "normal" else FamilyPrior(size, call.name)


def latent_conditional(
    family: str, body: Body, size: int, *, key: PRNGKeyArray
) -> AbstractExplicit:
    """A conditional of that family for `size` units, on a network; "flow" is one too."""
    if family == "normal":
        return DiagonalNormal.of(body, size, key=key)
    trunk_key, key = streams(key, "autoencoder.latent.trunk", "autoencoder.latent.heads")
    if family == DISCRETE:
        trunk, (logits,) = body.build({"the logits": size}, trunk_key, [key])
        return Bernoulli(trunk, logits)
    if family == FLOW:
        trunk, _ = body.build({}, trunk_key, [])
        flow = flow_of_features(size, body.width(trunk), body.activation, key)
        return OnFeatures(trunk=trunk, conditional=flow)
    known = by_name(family)
    counts = known.sizes(size)
    sizes = {p.name: n for p, n in zip(known.parameters, counts, strict=True)}
    trunk, heads = body.build(sizes, trunk_key, list(first_keys(key, len(counts))))
    return Conditional(trunk, heads, family)


def _known(posterior: str) -> Family | None:
    """The posterior's family; None for Bernoulli units, which are not in the catalogue."""
    if posterior == DISCRETE:
        return None
    check_family("posterior", posterior)
    return by_name(posterior)


def _prior_support(name: str) -> str:
    if name in (DISCRETE, MIXTURE):
        return "binary" if name == DISCRETE else "real"
    return by_name(name).prior_support
