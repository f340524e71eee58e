"""Export of draws and log-weights in the form that ArviZ reads.

Draws of q(z|x) with their log-weights stand in the groups `proposal` and `sample_stats_proposal`
(`groups`). The group `posterior` holds draws of p(z|x) as far as importance sampling gives them:
for each datum, as many of the proposal's draws, chosen in proportion to their weights.

`draws_to_arviz` takes any posterior, weights or not: its group `posterior` holds plain draws of
q(z|x).

Reference: Rubin 1988, Bayesian Statistics 3 (sampling-importance-resampling).
Bias: of order 1 / k in means over `posterior`, as in self-normalised importance sampling; k draws
there are worth no more than the weights' ESS.
"""

from typing import Any, Unpack

import numpy as np
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from tightbound.core.compilation import filter_jit
from tightbound.core.errors import at_least
from tightbound.core.items import Data, with_holes
from tightbound.core.streams import item_keys
from tightbound.data import DataLike
from tightbound.distributions import AbstractConditional, AbstractExplicit
from tightbound.evidence.batches import Batch, prepared
from tightbound.evidence.densities import with_density
from tightbound.evidence.draws import draws
from tightbound.evidence.estimate import undefined
from tightbound.evidence.execution import Execution, ExecutionSettings, per_device
from tightbound.evidence.groups import DESCRIPTIONS, about_draws, variables, xarray_for
from tightbound.evidence.weighted import weighted
from tightbound.models import Target
from tightbound.models.model import Model
from tightbound.models.weights import log_joint, sample, split_each

AT_ONCE = 2500
"""Draws of all data together that are held on the device by default."""


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
    xarray = xarray_for("to_arviz")
    run = Execution.of(to_arviz, execution, without=("chunk", "resume", "keep"))
    proposal = with_density(posterior, model, run.key, "the export of log-weights")
    (k,) = at_least(1, k=k)
    data = prepared(model, x, run.binarize, run.key)

    def one_batch(values: Data, items: Int[Array, " b"]) -> Batch:
        keys = split_each(item_keys(data.noise_key, items), k)
        z, log_joint, log_q = _drawn(model, proposal, values, keys)
        found = with_holes(values), z, log_joint, log_q
        return Batch(found, undefined(log_joint - log_q))

    at_once = per_device(AT_ONCE, of_each=k)
    values, z, *logs = run.over(one_batch, data, doing="drawing", at_once=at_once)
    drawn = weighted(model, z, logs[0] - logs[1])
    beside = (log[0] if isinstance(model, Target) else log for log in logs)
    about = {"units": "nats", "binarisation": data.once}
    tree = drawn.to_arviz(run.key, dict(zip(("log_joint", "log_q"), beside, strict=True)), about)
    tree["observed_data"] = xarray.Dataset(
        {"x": (("datum", "column"), values.reshape(len(values), -1))},
        coords={"datum": np.arange(data.n), "column": np.arange(values[0].size)},
        attrs={**tree.attrs, "description": DESCRIPTIONS["observed_data"]},
    )
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
    xarray = xarray_for("draws_to_arviz")
    (k,) = at_least(1, k=k)
    z = draws(model, posterior, x, n=k, key=key, binarize=binarize)
    columns = variables(z)
    if isinstance(model, Target) and not isinstance(z, dict):
        columns = {"z": (("chain", "draw", "unit"), z[None])}
    axes = {"chain": [0], "draw": np.arange(k)}
    about = about_draws(k, key) | {"description": "independent draws of q(z|x), without weights"}
    tree = xarray.DataTree.from_dict({"posterior": xarray.Dataset(columns, axes, about)})
    tree.attrs.update(about)
    return tree


@filter_jit
def _drawn(
    model: Model, posterior: AbstractExplicit, x: Data, keys: Key[Array, "n k"]
) -> tuple[Any, Float[Array, "n k"], Float[Array, "n k"]]:
    """Draws of q(z|x), and the logarithms of both densities."""
    z, log_q = sample(posterior, x, keys)
    return z, log_joint(model, x, z), log_q
