"""Which sites of a NumPyro model have an evidence, and in which words the others are refused.

An evidence is the integral of the likelihood over a prior that integrates to one. A latent whose
density does not (improper, masked, scaled) makes the integral a number without a meaning, or none.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpyro import distributions as dist
from numpyro.distributions.discrete import HurdleProbs

from tightbound.core.errors import UsageError


def check_sites(trace: dict[str, Any]) -> None:
    """Refuses sites that have no density on R^dim that integrates to one, by name.

    Raises:
        UsageError: The first kind of such sites, with what to do.
    """
    samples = {name: site for name, site in trace.items() if site["type"] == "sample"}
    latent = {name: site for name, site in samples.items() if not site["is_observed"]}
    refused = {
        "latents are discrete; sum them out, or observe them": [
            name for name, site in latent.items() if site["fn"].support.is_discrete
        ],
        "latents have a point mass; use numpyro.deterministic for a fixed value": [
            name for name, site in latent.items() if _has(site, dist.Delta, HurdleProbs)
        ],
        "latents are masked, and nothing normalises what the mask leaves out; for missing data put "
        "numpyro.handlers.mask around the observed site, in place of obs_mask=": [
            name for name, site in latent.items() if _masked(site)
        ],
        "latents are improper: their density has no finite integral; give them a proper prior": [
            name for name, site in latent.items() if _has(site, dist.ImproperUniform, dist.Unit)
        ],
        "latents are scaled, and a power of a density is not normalised; take "
        "numpyro.handlers.scale off them": [name for name, site in latent.items() if _scaled(site)],
        "observed sites are scaled: the integral of a power of the likelihood is no evidence of "
        "the data; take numpyro.handlers.scale off them, or write it as numpyro.factor": [
            name for name, site in samples.items() if site["is_observed"] and _scaled(site)
        ],
        "sites are parameters without a prior; give them one, or a value": [
            name for name, site in trace.items() if site["type"] == "param"
        ],
        "plates take a random part of their data; evidence needs all of them": [
            name
            for name, site in trace.items()
            if site["type"] == "plate" and site["args"][0] != len(site["value"])
        ],
    }
    # A plate that takes a part of the data scales its sites: it is the cause to be named.
    for why, names in sorted(refused.items(), key=lambda item: not item[0].startswith("plates")):
        if names:
            raise UsageError(
                "expected a NumPyro model with continuous latents and a normalised density; these "
                f"{why}: {', '.join(names)}"
            )


def _within(fn: Any) -> Iterator[Any]:
    """A distribution and all those that it is made of."""
    yield fn
    for part in vars(fn).values():
        for inner in part if isinstance(part, list | tuple) else [part]:
            if isinstance(inner, dist.Distribution):
                yield from _within(inner)


def _has(site: Any, *kinds: type) -> bool:
    return any(isinstance(part, kinds) for part in _within(site["fn"]))


def _masked(site: Any) -> bool:
    """Whether a mask leaves anything out."""
    masks = [p._mask for p in _within(site["fn"]) if isinstance(p, dist.MaskedDistribution)]
    return not all(np.all(mask) for mask in masks)


def _scaled(site: Any) -> bool:
    return site["scale"] is not None and not np.all(np.asarray(site["scale"]) == 1)
