"""Images restored by a run's model: holes filled, noise taken away, small ones made large."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from tightbound import data
from tightbound.core.errors import UsageError, at_least
from tightbound.core.streams import as_key, streams
from tightbound.data.door import Values
from tightbound.evidence.batches import stderr_of_draws
from tightbound.models import Model, plug_in
from tightbound.runs.folder import ItemsOf, Opened, items_of, open_run, refuse_draws
from tightbound.runs.source import Scored, load_scored
from tightbound.tasks import Restored, denoise, inpaint, super_resolve
from tightbound.tasks.denoise import noised
from tightbound.tasks.images import WORDS
from tightbound.tasks.marginals import Rows, rows_of
from tightbound.tasks.predictive import K


class Restoration(NamedTuple):
    """What a run's model makes of images."""

    found: Restored
    rows: Scored
    truth: Float[np.ndarray, "n *image"] | None
    """The images themselves, NaN where they are not known; None where they are not at all."""
    items: ItemsOf
    """What one of them is, for files."""
    drawn: bool
    """Whether z is drawn from a posterior, and not summed over."""

    @property
    def means(self) -> Float[np.ndarray, "n d"]:
        """What is expected of each image, row by row."""
        return self.found.x.reshape(len(self.found.x), -1)

    def table(self) -> dict[str, list[Any]]:
        """Columns of one length: row, name, log p of what was seen, its error, draws, log-score."""
        found = self.found
        columns: dict[str, list[Any]] = {"row": self.rows.rows.tolist()}
        if self.rows.names:
            columns["name"] = list(self.rows.names)
        columns |= {name: list(values) for name, values in self._numbers().items()}
        return columns | {"unsure": found.unsure.astype(int).tolist()}

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, images in their shape."""
        found = self.found
        arrays = {name: getattr(found, name) for name in ("x", "stderr", "draws", "seen", "hidden")}
        arrays |= self._numbers()
        return arrays if self.truth is None else arrays | {"truth": self.truth}

    def record(self) -> dict[str, Any]:
        """All images together, as one flat record; nats per image."""
        found = self.found
        record: dict[str, Any] = {"data": self.rows.name, "n": len(found.x)}
        record |= {"k": found.k} if self.drawn else {}
        record["mean_log_p"] = float(np.mean(found.log_evidence, dtype=np.float64))
        record["stderr_draws"] = stderr_of_draws(found.log_evidence_stderr)
        if self.drawn:
            record["median_ess"] = float(np.median(found.ess))
            record["of_too_few_draws"] = int(found.unsure.sum())
        score, error = found.log_score, found.log_score_stderr
        if score is not None and error is not None and not np.isnan(score).all():
            told = ~np.isnan(score)
            record["log_score"] = float(np.mean(score[told], dtype=np.float64))
            record["stderr_log_score"] = stderr_of_draws(error[told])
        if self.truth is not None:
            off = np.where(found.hidden, found.x - self.truth, np.nan).astype(np.float64)
            record["mean_squared_error"] = float(np.nanmean(off**2)) if off.size else math.nan
        return record

    def _numbers(self) -> dict[str, np.ndarray]:
        """Those of each image."""
        found = self.found
        numbers = {"log_p": found.log_evidence, "stderr_log_p": found.log_evidence_stderr}
        numbers |= {"ess": found.ess, "khat": found.khat} if self.drawn else {}
        score, error = found.log_score, found.log_score_stderr
        if score is not None and error is not None:
            numbers |= {"log_score": score, "stderr_log_score": error}
        return numbers


class Asked(NamedTuple):
    """Which images of which run are restored, and how."""

    directory: Path
    name: str
    """A named set (its test part), or a file (all rows)."""
    draws: int = 3
    k: int | None = None
    key: int = 0
    limit: int | None = None
    scale: float | None = None
    """What the numbers of a file are divided by, as for `tb.data.load`."""
    header: bool | None = None
    progress: bool | None = None

    def opened(self) -> Opened:
        """The run.

        Raises:
            UsageError: As for `open_run`, or settings of draws for a run that draws nothing.
        """
        if self.limit is not None:
            at_least(1, limit=self.limit)
        opened = open_run(self.directory)
        refuse_draws(opened, k=self.k)
        return opened

    def load(self, opened: Opened, smaller: int = 1) -> Scored:
        """The images, with sides that are so much shorter than the run's.

        Raises:
            UsageError: As for `load_scored`.
        """
        found = load_scored(
            self.directory,
            opened,
            self.name,
            scale=self.scale,
            header=self.header,
            smaller=smaller,
        )
        return found.first(self.limit)

    def how(self) -> dict[str, Any]:
        """Settings of a task."""
        k = K if self.k is None else self.k
        return {"draws": self.draws, "k": k, "key": self.key, "progress": self.progress}


def inpaint_data(asked: Asked, mask: str) -> Restoration:
    """Fills images of which a mask hides a part, or with missing values.

    Args:
        asked: Which images of which run.
        mask: One in words, or a file of 0 and 1: one image of the run's shape, or one for each.

    Raises:
        UsageError: As for `open_run`, `load_scored`, and `tb.tasks.inpaint`.
    """
    opened = asked.opened()
    model, rows, items = plug_in(opened.model), asked.load(opened), items_of(asked.directory)
    values = Values(rows.x, columns=items.columns)
    binarize = opened.config.binarize
    found = inpaint(
        model,
        opened.posterior,
        values,
        _mask(mask, items.shape),
        shape=items.shape if len(items.shape) in (2, 3) else None,
        binarize=binarize,
        **asked.how(),
    )
    seen = rows_of(model, values, as_key(asked.key), binarize)
    return _of(asked, opened, found, rows, items, seen.values)


def denoise_data(asked: Asked, noise: float, *, degrade: bool) -> Restoration:
    """Takes known noise away, from images that have it or, with `degrade`, are given it first.

    Raises:
        UsageError: As for `open_run`, `load_scored`, and `tb.tasks.denoise`.
    """
    opened = asked.opened()
    model, rows, items = plug_in(opened.model), asked.load(opened), items_of(asked.directory)
    noised(model, noise)
    x, truth = rows.x, None
    if degrade:
        truth = _clean(asked, opened, model, rows)
        x = _noisy(truth, noise, asked.key, binary=model.likelihood.support == "binary")
    how = {**asked.how(), "binarize": opened.config.binarize}
    found = denoise(model, opened.posterior, x, noise=noise, **how)
    return _of(asked, opened, found, rows, items, truth)


def super_resolve_data(asked: Asked, factor: int, *, degrade: bool) -> Restoration:
    """Enlarges small images, or with `degrade` the means of squares of large ones.

    Raises:
        UsageError: As for `open_run`, `load_scored`, and `tb.tasks.super_resolve`; a run of other
            data than images.
    """
    (factor,) = at_least(2, factor=factor)
    opened = asked.opened()
    model, items = plug_in(opened.model), items_of(asked.directory)
    if len(items.shape) not in (2, 3):
        raise UsageError(
            f"{asked.directory} was fitted to items of shape {items.shape}: expected a run of "
            "images of (height, width) or (height, width, channels)"
        )
    height, width = items.shape[:2]
    if height % factor or width % factor:
        raise UsageError(
            f"expected a factor that divides both sides of {items.shape}, got {factor}"
        )
    rows = asked.load(opened, 1 if degrade else factor)
    x, truth = rows.x, None
    if degrade:
        truth = _clean(asked, opened, model, rows)
        squares = truth.reshape(len(truth), height // factor, factor, width // factor, factor, -1)
        x = squares.mean(axis=(2, 4)).reshape(len(truth), -1)
    found = super_resolve(
        model, opened.posterior, x, factor=factor, shape=items.shape, **asked.how()
    )
    return _of(asked, opened, found, rows, items, truth)


def _clean(
    asked: Asked, opened: Opened, model: Model, rows: Scored
) -> Float[np.ndarray, "n *item"]:
    """Images as the model sees them, binarised where it needs that."""
    seen: Rows = rows_of(model, rows.x, as_key(asked.key), opened.config.binarize)
    return seen.values


def _noisy(
    x: Float[np.ndarray, "n *item"], noise: float, key: int, *, binary: bool
) -> Float[np.ndarray, "n *item"]:
    flip_key, normal_key = streams(as_key(key), "degraded.flips", "degraded.noise")
    if binary:
        flipped = np.asarray(jax.random.uniform(flip_key, x.shape)) < noise
        return np.where(flipped, 1 - x, x).astype(np.float32)
    return x + np.float32(noise) * np.asarray(jax.random.normal(normal_key, x.shape))


def _mask(mask: str, shape: tuple[int, ...]) -> Any:
    """A mask in words as it is, or that of a file.

    Raises:
        UsageError: Neither words nor a file.
    """
    if mask in WORDS or mask.startswith("random") or not Path(mask).suffix:
        return mask
    found = data.load_items(mask, scale=1).x
    if found.shape[1] == math.prod(shape):
        return found[0] if len(found) == 1 else found
    return found


def _of(
    asked: Asked,
    opened: Opened,
    found: Restored,
    rows: Scored,
    items: ItemsOf,
    truth: Float[np.ndarray, "n *item"] | None,
) -> Restoration:
    """With all images in the shape that the run's data have."""
    n, image = len(found.x), items.shape
    shaped = found.in_shape(image)
    own = None if truth is None else truth.reshape(n, *image)
    return Restoration(shaped, rows, own, items, opened.posterior is not None)
