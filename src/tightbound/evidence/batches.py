"""What all evidence estimators share: batches of data in one shape, and means over the data."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from tightbound.core.errors import NonFiniteError
from tightbound.core.items import Data
from tightbound.core.progress import Progress
from tightbound.core.streams import as_key, stream
from tightbound.data import DataLike, Source
from tightbound.data.binarise import evaluated_key
from tightbound.data.sequences import lengths_of
from tightbound.evidence.resume import Finished
from tightbound.likelihoods import Masked
from tightbound.models import Bayesian, Model, Target
from tightbound.models.holes import check_model
from tightbound.models.source import as_source, nothing

CHAINS_AT_ONCE = 1600
"""Markov chains of all data together that move at once by default."""
SHOWN = 5e-4
"""Least rounding that a summary mentions, in nats."""
NO_DATA = "no data"
"""What stands in place of a binarisation for a `Target`."""
OF_THE_MASK = "the mask is data too"
"""What stands behind a binarisation where the model has a mask of its own."""


class Batch(NamedTuple):
    """What an estimator has found of some data, with one entry for each."""

    found: Any
    """Arrays, or a tree of them."""
    undefined: Any
    """How many log-weights of a datum are NaN or +inf, for which there is no meaning (or whether
    any is)."""


class Prepared(NamedTuple):
    """Data that are to be judged, and the keys by which they are binarised and z is drawn."""

    source: Source
    binarise_key: PRNGKeyArray
    noise_key: PRNGKeyArray
    masked: bool = False
    """Whether the model has a model of which values are observed."""
    steps: Int[np.ndarray, " n"] | None = None
    """How many steps each datum has; None where they are no sequences."""
    chosen: Int[np.ndarray, " m"] | None = None
    """The rows of the source that are meant, by number; None for all."""

    @property
    def n(self) -> int:
        """The number of data."""
        return len(self.source) if self.chosen is None else len(self.chosen)

    @property
    def once(self) -> str:
        """How each value became binary, in words, and how many are missing."""
        if self.source.size == 0:
            return NO_DATA
        words, missing = [self.source.binarisation.once], self.source.missing
        values = self.n * self.source.size
        if self.steps is not None:
            total, longest = int(self.steps.sum()), self.source.item_shape[0]
            # What stands behind the ends is padding.
            of_step = self.source.size // longest
            missing -= (self.n * longest - total) * of_step
            values = total * of_step
            words.append(f"{total:,} steps in all")
        if missing:
            words.append(f"{missing:,} of {values:,} values are missing")
        if self.masked:
            words.append(OF_THE_MASK)
        return "; ".join(words)

    def rows(self, places: Int[np.ndarray, " b"]) -> Int[np.ndarray, " b"]:
        """The numbers in the source of some of the data."""
        return places if self.chosen is None else self.chosen[places]

    def seen(self, places: Int[np.ndarray, " b"]) -> tuple[Data, Int[Array, " b"]]:
        """Some data as all estimators see them, and their rows' numbers on the device."""
        items = self.source.seen(self.rows(places), key=self.binarise_key)
        return items.data, items.rows


def prepared(
    model: Model | Bayesian,
    x: DataLike | None,
    binarize: str,
    key: Any,
    dtype: Any = np.float32,
) -> Prepared:
    """Checks data against the model, once, on the host; all estimators binarise by the same key.

    Values may be missing (NaN): evidence is then that of the others, log p(x_observed). A source
    is taken as it is.

    A `Target` has none: one datum without columns stands for them. In float32 data are refused that
    it cannot tell apart; in float64, as `exact` has them, they are what they are.

    Raises:
        UsageError: Data of another width, outside the likelihood's support (row and column are
            named), or an unknown binarisation; no data for a model, or data for a `Target`.
    """
    keys = evaluated_key(key), stream(as_key(key), "evidence.noise")
    if isinstance(model, Target) and x is None:
        return Prepared(nothing(1), *keys)
    source = as_source(model, x, "the data to evaluate", binarize, dtype=dtype)
    check_model(model, source)
    steps = lengths_of(source.read()) if model.prior.sees_data else None
    return Prepared(source, *keys, isinstance(model.likelihood, Masked), steps)


def in_batches(
    estimate: Callable[[Data, Int[Array, " b"]], Batch],
    data: Prepared,
    *,
    batch_size: int,
    doing: str,
    progress: bool | None,
    finished: Finished | None = None,
) -> Any:
    """Calls `estimate(values, rows)` batch by batch; its arrays come back whole, on the host.

    The data of a batch are spread over all devices there are; a batch is made longer, if need be,
    so that each device has as many. No estimate with an undefined log-weight gets further than its
    batch: a NaN that is left out, or taken for zero, would bias the evidence without a word.

    Args:
        estimate: Gives arrays (or a tree of them) with one entry per datum, and how many of its
            log-weights are undefined.
        data: The data, whose values are drawn once, by their row.
        batch_size: Data at once.
        doing: What the progress bar says.
        progress: Show it on standard error; by default if that is a terminal.
        finished: Where batches are kept that are done, to go on from.

    Raises:
        NonFiniteError: A log-weight is NaN or +inf; rows and draws are counted.
    """
    n, devices = data.n, jax.devices()
    batch_size = -(-min(batch_size, n) // len(devices)) * len(devices)
    spread = NamedSharding(Mesh(np.array(devices), ("data",)), PartitionSpec("data"))
    leaves = [] if finished is None else _whole_batches(finished.read(), n, batch_size)
    structure: Any = None
    done = len(leaves)
    with Progress(doing, -(-n // batch_size), done=done, shown=progress) as bar:
        for first in range(done * batch_size, n, batch_size):
            # The last batch is filled up with its last item, so that all have one shape.
            places = np.minimum(np.arange(first, first + batch_size), n - 1)
            found, undefined = estimate(*jax.device_put(data.seen(places), spread))
            rows = data.rows(places[: n - first])
            _check_weights(np.asarray(undefined, np.int64)[: n - first], rows)
            batch, structure = jax.tree.flatten(found)
            leaves.append([np.asarray(a)[: n - first] for a in batch])
            if finished is not None:
                finished.write(leaves)
            bar.advance()
    if finished is not None:
        finished.remove()
    whole = [np.concatenate(parts) for parts in zip(*leaves, strict=True)]
    return jax.tree.unflatten(structure, whole)


def _check_weights(undefined: Int[np.ndarray, " b"], rows: Int[np.ndarray, " b"]) -> None:
    """Refuses undefined weights; a weight of zero, log w = -inf, is allowed.

    Raises:
        NonFiniteError: The rows are named.
    """
    bad = rows[undefined > 0]
    if len(bad):
        named = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
        raise NonFiniteError(
            f"log p(x, z) - log q(z|x) is NaN for draws of {len(bad)} data, rows {named} (counted "
            f"from 0), {int(np.sum(undefined))} draws in all: one of the two densities gives a "
            "NaN, or is infinite; where a density is zero it should be -inf"
        )


def _whole_batches(kept: list[np.ndarray], n: int, batch_size: int) -> list[list[np.ndarray]]:
    """Kept leaves batch by batch, without the last of all batches: it is made anew."""
    rows = len(kept[0]) if kept else 0
    firsts = range(0, min(rows, n - 1) // batch_size * batch_size, batch_size)
    return [[leaf[first : first + batch_size] for leaf in kept] for first in firsts]


def headline(
    log_evidence: Float[np.ndarray, " n"],
    error: str,
    kind: str,
    binarisation: str,
    *,
    digits: int = 3,
    each: str = "datum",
) -> str:
    """The mean with its error and unit, and all that it depends on."""
    value = f"{mean(log_evidence):.{digits}f}"
    error = f", {error}" if error else ""
    if binarisation == NO_DATA:
        return f"log Z = {value} nats{error} ({kind})"
    of = "x_observed, mask" if OF_THE_MASK in binarisation else "x"
    return (
        f"log p({of}) = {value} nats per {each}{error} ({kind}, n={len(log_evidence)}; "
        f"binarisation: {binarisation})"
    )


def errors(stderr: float, rounding: float = 0.0, *, at_least: bool = False) -> str:
    """The error of a mean from its draws, and from rounding where that can be seen."""
    found = f"standard error {'at least ' if at_least else ''}{stderr:.3f} from the draws"
    return f"{found}, rounding up to {rounding:.3g}" if rounding >= SHOWN else found


def mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """The mean over the data, summed in double precision."""
    return float(np.mean(log_evidence, dtype=np.float64))


def stderr_of_mean(log_evidence: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of data; NaN where there is none."""
    n = len(log_evidence)
    if n == 1 or not np.all(np.isfinite(log_evidence)):
        return math.nan
    return float(np.std(log_evidence, ddof=1, dtype=np.float64) / np.sqrt(n))


def stderr_of_draws(stderr: Float[np.ndarray, " n"]) -> float:
    """Standard error of the mean from the finite number of draws of each datum."""
    return float(np.sqrt(np.sum(stderr**2)) / len(stderr))
