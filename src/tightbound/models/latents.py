"""Families of latent units: which posterior suits which prior, and how they are built.

Kingma & Welling 2013, arXiv 1312.6114, section 2.4.
"""

import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.names import check_family
from tightbound.core.streams import first_keys, streams
from tightbound.distributions import (
    AbstractExplicit,
    Bernoulli,
    BernoulliPrior,
    Conditional,
    DiagonalNormal,
    Family,
    FamilyPrior,
    StandardNormal,
    by_name,
)
from tightbound.networks import Body

DISCRETE = "bernoulli"
WIDER = {"unit": ("positive", "real"), "positive": ("real",)}
"""The supports that hold another one; simplex and binary values have densities of their own."""


def check_latents(posterior: str, prior: str | None, latents: list[int]) -> str:
    """The prior's family, chosen by the posterior's if it is left out.

    Raises:
        UsageError: An unknown family, a posterior whose draws may lie outside the support of the
            prior, or of another layer's conditional, or too few units for the family.
    """
    q, p = _known("posterior", posterior), None
    if prior is not None:
        p = _known("prior", prior)
    elif q is not None:
        prior = q.prior or posterior
        p = by_name(prior)
    q_support = q.support if q else "binary"
    p_support = p.prior_support if p else "binary"
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
    return prior or posterior


def latent_prior(family: str, size: int) -> AbstractExplicit:
    """The prior p(z) of that family: the standard member, or learned Bernoulli logits."""
    if family == DISCRETE:
        return BernoulliPrior(jnp.zeros(size))
    return StandardNormal(size) if family == "normal" else FamilyPrior(size, family)


def latent_conditional(
    family: str, body: Body, size: int, *, key: PRNGKeyArray
) -> AbstractExplicit:
    """A conditional of that family for `size` units, on a network."""
    if family == "normal":
        return DiagonalNormal.of(body, size, key=key)
    trunk_key, key = streams(key, "autoencoder.latent.trunk", "autoencoder.latent.heads")
    if family == DISCRETE:
        trunk, (logits,) = body.build({"the logits": size}, trunk_key, [key])
        return Bernoulli(trunk, logits)
    known = by_name(family)
    counts = known.sizes(size)
    sizes = {p.name: n for p, n in zip(known.parameters, counts, strict=True)}
    trunk, heads = body.build(sizes, trunk_key, list(first_keys(key, len(counts))))
    return Conditional(trunk, heads, family)


def _known(role: str, name: str) -> Family | None:
    """The family of that name; None for Bernoulli units, which are not in the catalogue."""
    if name == DISCRETE:
        return None
    check_family(role, name)
    return by_name(name)
