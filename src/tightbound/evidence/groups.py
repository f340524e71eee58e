"""Groups of an xarray `DataTree` in ArviZ's schema, with the weights of draws.

Draws with weights stand in `proposal`, their weights in `sample_stats_proposal`: `log_weight` in
nats, and `weight`, which sums to one over the draws, as the functions of arviz-stats take it for
`weights=`. `posterior` holds draws without weights, chosen from these in proportion to them.

Reference: Kumar et al. 2019, JOSS 4(33) (ArviZ, whose schema of groups this follows).
"""

from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, PRNGKeyArray

from tightbound.core.errors import UsageError
from tightbound.core.streams import as_key

DESCRIPTIONS = {
    "posterior": "draws of proposal chosen with replacement in proportion to their importance "
    "weights, for each datum: approximate draws of p(z|x), worth no more than the weights' ESS",
    "proposal": "draws with weights: of q(z|x) by importance sampling, else as the method had them",
    "sample_stats_proposal": "log_weight of each draw in proposal (log_joint - log_q by importance "
    "sampling), and weight, its share of the sum",
    "observed_data": "the data as the model has seen them",
}
"""What each group is."""


def xarray_for(what: str) -> Any:
    """The package, which is optional.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import xarray
    except ImportError:
        raise UsageError(
            f'{what} gives a tree of xarray data sets: pip install "tightbound[arviz]"'
        ) from None
    return xarray


def weighted_groups(
    z: Any,
    resampled: Any,
    logs: dict[str, Float[np.ndarray, "*n k"]],
    shares: Float[np.ndarray, "*n k"],
    about: dict[str, Any],
) -> Any:
    """The groups `posterior`, `proposal` and `sample_stats_proposal`.

    Args:
        z: Draws of shape (n, k, ...), a tuple of layers, or a dict of sites; without n for a
            target, which has a dimension datum of one but for sites.
        resampled: As many draws without weights.
        logs: Of each draw, in nats, by name.
        shares: The weight of each as a share of their sum.
        about: What stands beside all groups.

    Raises:
        UsageError: xarray is not installed.
    """
    xarray = xarray_for("to_arviz")
    if shares.ndim == 1:
        logs, shares = {name: of[None] for name, of in logs.items()}, shares[None]
        if not isinstance(z, dict):
            z, resampled = jax.tree.map(lambda leaf: leaf[None], (z, resampled))
    n, k = shares.shape
    axes = {"chain": [0], "draw": np.arange(k), "datum": np.arange(n)}
    columns = {
        "posterior": variables(resampled),
        "proposal": variables(z),
        "sample_stats_proposal": {
            name: (tuple(axes), _chained(of), {"units": "nats"}) for name, of in logs.items()
        }
        | {"weight": (tuple(axes), _chained(shares))},
    }
    tree = xarray.DataTree.from_dict(
        {
            name: xarray.Dataset(of, axes, about | {"description": DESCRIPTIONS[name]})
            for name, of in columns.items()
        }
    )
    tree.attrs.update(about)
    return tree


def about_draws(k: int, key: int | PRNGKeyArray) -> dict[str, Any]:
    """What stands beside all groups, in types that every file format keeps."""
    return {
        "inference_library": "tightbound",
        "inference_library_version": version("tightbound"),
        "k": k,
        "key": str(np.asarray(jax.random.key_data(as_key(key))).tolist()),
    }


def variables(z: Any) -> dict[str, Any]:
    """Variables with their dimensions, one for each layer or site; sites named as ArviZ does."""
    if isinstance(z, dict):
        return {
            name: (("chain", "draw", *(f"{name}_dim_{i}" for i in range(of.ndim - 1))), of[None])
            for name, of in z.items()
        }
    layers = {f"h_{i}": h for i, h in enumerate(z, start=1)} if isinstance(z, tuple) else {"z": z}
    return {
        name: (
            (
                *("chain", "draw", "datum", *(("step",) if h.ndim == 4 else ())),
                "unit" if name == "z" else f"{name}_unit",
            ),
            _chained(h),
        )
        for name, h in layers.items()
    }


def _chained(draws: Float[np.ndarray, "n k *s"]) -> Float[np.ndarray, "1 k n *s"]:
    """One chain of k draws for all data."""
    return np.swapaxes(draws, 0, 1)[None]
