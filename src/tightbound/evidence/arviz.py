"""Export of draws and log-weights in the form that ArviZ reads.

Draws of q(z|x) with their log-weights stand in the groups `proposal` and `sample_stats_proposal`.
The group `posterior` holds draws of p(z|x) as far as importance sampling gives them: for each
datum, as many of the proposal's draws, chosen with replacement in proportion to their weights.

`draws_to_arviz` takes any posterior, weights or not: its group `posterior` holds plain draws of
q(z|x).

Reference: Rubin 1988, Bayesian Statistics 3 (sampling-importance-resampling); Kumar et al. 2019,
JOSS 4(33) (ArviZ, whose schema of groups this follows).
Bias: of order 1 / k in means over `posterior`, as in self-normalised importance sampling; k draws
there are worth no more than the weights' ESS.
"""

from importlib.metadata import version
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import UsageError, at_least
from tightbound.core.items import Data, with_holes
from tightbound.core.streams import as_key, item_keys, stream
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.draws import draws
from tightbound.evidence.estimate import undefined
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.models import NumPyroTarget, Target
from tightbound.models.model import Model
from tightbound.models.weights import log_joint, sample, split_each

AT_ONCE = 2500
"""Draws of all data together that are held on the device by default."""
DESCRIPTIONS = {
    "posterior": "draws of q(z|x) chosen with replacement in proportion to their importance "
    "weights, for each datum: approximate draws of p(z|x), worth no more than the weights' ESS",
    "proposal": "independent draws of q(z|x)",
    "sample_stats_proposal": "log_weight = log_joint - log_q of each draw in proposal",
    "observed_data": "the data as the model has seen them",
}
"""What each group is."""


def to_arviz(
    model: Model,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    k: int = 1000,
    **execution: Unpack[ExecutionSettings],
) -> Any:
    """Draws k values of z for each datum, with log-weights in nats, as an xarray `DataTree`.

    The draws are those of `tb.evaluate` with the same key and k, so that log p(x) is the log of
    the mean of exp(log_weight). All n times k of them are held on the host at once.

    Args:
        model: p(x, z).
        posterior: q(z|x), the proposal; one without a density is stood in for as in `tb.evaluate`.
        x: Data of shape (n, d); none for a `Target`.
        k: Draws per datum.
        execution: `key`, `binarize`, `batch_size` (by default 2,500 draws together) and `progress`:
            see `tb.evidence.Execution`.

    Returns:
        A tree of data sets with the groups of `DESCRIPTIONS`, as ArviZ 1 and arviz-stats take it;
        for ArviZ 0.x, `arviz.InferenceData.from_datatree(tree)`. Dimensions are chain (one), draw,
        datum and the units of a layer: `z`, or `h_1`, `h_2` and so on for several layers; values
        of a target from `tb.from_numpyro` go by site, on the sites' supports, without datum.

    Raises:
        UsageError: xarray is not installed, or as for `tb.evaluate`.
    """
    xarray = _xarray("to_arviz")
    run = Execution.of(to_arviz, execution, without=("chunk", "resume"))
    proposal = with_density(posterior, model, run.key, "the export of log-weights")
    (k,) = at_least(1, k=k)
    data = prepared(model, x, run.binarize, run.key)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = item_keys(data.noise_key, items)
        found = _drawn(model, proposal, values, keys, k=k)
        return Batch((with_holes(values), *found), undefined(found[2]["log_weight"]))

    at_once = per_device(AT_ONCE, of_each=k)
    values, proposed, chosen, stats = run.over(one_batch, data, doing="drawing", at_once=at_once)
    axes = {"chain": [0], "draw": np.arange(k), "datum": np.arange(data.n)}
    columns = {
        "posterior": _variables(model, chosen),
        "proposal": _variables(model, proposed),
        "sample_stats_proposal": {
            name: (tuple(axes), _chained(array), {"units": "nats"}) for name, array in stats.items()
        },
    }
    groups = {name: xarray.Dataset(of, coords=axes) for name, of in columns.items()}
    groups["observed_data"] = xarray.Dataset(
        {"x": (("datum", "column"), values.reshape(len(values), -1))},
        coords={"datum": axes["datum"], "column": np.arange(values[0].size)},
    )
    about = _about(k, run.key) | {"units": "nats", "binarisation": data.once}
    for name, group in groups.items():
        group.attrs.update(about, description=DESCRIPTIONS[name])
    tree = xarray.DataTree.from_dict(groups)
    tree.attrs.update(about)
    return tree


def draws_to_arviz(
    model: Model,
    posterior: AbstractConditional,
    x: DataLike | None = None,
    *,
    k: int = 1000,
    key: int | PRNGKeyArray = 0,
    binarize: str = "auto",
) -> Any:
    """Plain draws of q(z|x), explicit or not, as an xarray `DataTree` with a group `posterior`.

    They are those of `tb.draws`, and posterior draws as far as q is the posterior: there are no
    weights.

    Args:
        model: p(x, z), or a `Target`; draws of one from `tb.from_numpyro` go by site.
        posterior: q(z|x).
        x: Data of shape (n, d); none for a `Target`.
        k: Draws per datum.
        key: Seed or key of draws and binarisation.
        binarize: As for `fit`; "dynamic" draws each item once, by its row.

    Returns:
        A tree as that of `to_arviz`. A `Target` has no dimension datum.

    Raises:
        UsageError: xarray is not installed, or as for `tb.draws`.
    """
    xarray = _xarray("draws_to_arviz")
    (k,) = at_least(1, k=k)
    z = draws(model, posterior, x, n=k, key=key, binarize=binarize)
    if isinstance(z, dict):
        columns = _sites(z)
    elif isinstance(model, Target):
        columns = {"z": (("chain", "draw", "unit"), z[None])}
    else:
        columns = _layers(z)
    axes = {"chain": [0], "draw": np.arange(k)}
    about = _about(k, key) | {"description": "independent draws of q(z|x), without weights"}
    tree = xarray.DataTree.from_dict({"posterior": xarray.Dataset(columns, axes, about)})
    tree.attrs.update(about)
    return tree


def _xarray(what: str) -> Any:
    """The package, which is optional."""
    try:
        import xarray
    except ImportError:
        raise UsageError(
            f'{what} gives a tree of xarray data sets: pip install "tightbound[arviz]"'
        ) from None
    return xarray


def _about(k: int, key: int | PRNGKeyArray) -> dict[str, Any]:
    """What stands beside all groups, in types that every file format keeps."""
    return {
        "inference_library": "tightbound",
        "inference_library_version": version("tightbound"),
        "k": k,
        "key": str(np.asarray(jax.random.key_data(as_key(key))).tolist()),
    }


def _variables(model: Model, z: Any) -> dict[str, Any]:
    """Variables with their dimensions: layers, or the sites of a NumPyro model."""
    if isinstance(model, NumPyroTarget):
        return _sites({name: np.asarray(of) for name, of in model.constrain(z[0]).items()})
    return _layers(z)


def _sites(values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Variables by site, with dimensions named as ArviZ does."""
    return {
        name: (("chain", "draw", *(f"{name}_dim_{i}" for i in range(of.ndim - 1))), of[None])
        for name, of in values.items()
    }


def _layers(z: Any) -> dict[str, Any]:
    """Variables with their dimensions, one for each layer."""
    layers = {f"h_{i}": h for i, h in enumerate(z, start=1)} if isinstance(z, tuple) else {"z": z}
    return {
        name: (("chain", "draw", "datum", "unit" if name == "z" else f"{name}_unit"), _chained(h))
        for name, h in layers.items()
    }


def _chained(draws: Float[np.ndarray, "n k *s"]) -> Float[np.ndarray, "1 k n *s"]:
    """One chain of k draws for all data."""
    return np.swapaxes(draws, 0, 1)[None]


@filter_jit
def _drawn(
    model: Model,
    posterior: AbstractExplicit,
    x: Data,
    keys: Key[Array, " n"],
    *,
    k: int,
) -> tuple[Any, Any, dict[str, Float[Array, "n k"]]]:
    """Draws of q(z|x), as many chosen from them by their weights, and the logarithms of both."""
    z, log_q = sample(posterior, x, split_each(keys, k))
    log_p = log_joint(model, x, z)
    log_w = log_p - log_q

    def choose(key: PRNGKeyArray, log_w: Float[Array, " k"], z: Any) -> Any:
        below = jnp.cumsum(jax.nn.softmax(log_w))
        u = jax.random.uniform(stream(key, "inference_data.resampled"), (k,)) * below[-1]
        chosen = jnp.minimum(jnp.searchsorted(below, u, side="right"), k - 1)
        known = jnp.isfinite(below[-1])  # not where all weights are zero
        return jax.tree.map(lambda leaf: jnp.where(known, leaf[chosen], jnp.nan), z)

    stats = {"log_weight": log_w, "log_joint": log_p, "log_q": log_q}
    return z, jax.vmap(choose)(keys, log_w, z), stats
