"""How a call is carried out, apart from what it estimates: one place for all estimators."""

import hashlib
import inspect
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import jax
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from tightbound.core.errors import UsageError, at_least, unknown
from tightbound.core.items import Data
from tightbound.core.streams import as_key
from tightbound.evidence.batches import Batch, Prepared, in_batches
from tightbound.evidence.estimate import Estimate, result_codes, with_verdict
from tightbound.evidence.fingerprint import fingerprint
from tightbound.evidence.resume import Finished
from tightbound.evidence.terms import Terms
from tightbound.evidence.weighted import weighted
from tightbound.models import Target
from tightbound.models.model import Model
from tightbound.models.shapes import like_z


class ExecutionSettings(TypedDict, total=False):
    """What may be given for `**execution`: see `Execution`, which says what each of them is."""

    key: int | PRNGKeyArray
    binarize: str
    batch_size: int | None
    chunk: int | None
    progress: bool | None
    resume: str | os.PathLike[str] | None
    keep: bool | None


NAMES = tuple(ExecutionSettings.__annotations__)
SIZES = ("batch_size", "chunk")
KEPT = 10_000_000
"""Most numbers in draws of a target that are kept without being asked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Execution:
    """The execution settings, which every estimator of evidence takes as keywords.

    Apart from rounding, `key` and `binarize` alone change results: the draws of a datum depend on
    the key and on its row. What a function has no use for, it refuses.

    Attributes:
        key: Seed or key of draws and binarisation; by default 0.
        binarize: As for `fit`; "dynamic" draws each item once, by its row, alike in all estimators
            with the same key.
        batch_size: Data at once; by default as many as the function says.
        chunk: Draws per datum at once, of importance sampling; by default 250.
        progress: Show a progress bar on standard error; by default if that is a terminal.
        resume: A file .npz in which finished batches are kept, every 10 seconds or so, and which
            is removed at the end (where data are annealed besides, also one beside it). A call
            with the same arguments goes on from it.
        keep: Keep the draws with their weights, as `estimate.weighted`; by default those of a
            `Target`, up to 10 million numbers, and none of data, of which there are n times as
            many.
    """

    key: PRNGKeyArray
    binarize: str = "auto"
    batch_size: int | None = None
    chunk: int | None = None
    progress: bool | None = None
    resume: str | os.PathLike[str] | None = None
    keep: bool | None = None
    began: float = field(default_factory=time.perf_counter, init=False, repr=False)

    @classmethod
    def of(
        cls,
        function: Callable[..., Any],
        given: Mapping[str, Any],
        *,
        without: tuple[str, ...] = (),
    ) -> "Execution":
        """The settings of a call of `function`, checked.

        Args:
            function: Who was called, for errors.
            given: What it was given for `**execution`.
            without: The settings that it has no use for.

        Raises:
            UsageError: An unknown name, a setting that the function does not have, a size that is
                no whole number from 1, a key that is none, or keep as something else than a truth
                value.
        """
        who = function.__name__
        for name in given:
            if name not in NAMES:
                taken = inspect.signature(function).parameters.values()
                own = [p.name for p in taken if p.kind is inspect.Parameter.KEYWORD_ONLY]
                has = [setting for setting in NAMES if setting not in without]
                raise unknown(f"setting of {who}", name, [*own, *has])
        refuse(given, without, f"{who} has no {{name}}=: leave it out")
        if not isinstance(given.get("keep"), bool | None):
            raise UsageError(f"expected keep to be True or False, got {given['keep']!r}")
        sizes = {n: given[n] for n in SIZES if given.get(n) is not None}
        whole = dict(zip(sizes, at_least(1, **sizes), strict=True))
        return cls(**{**given, **whole, "key": as_key(given.get("key", 0))})

    @property
    def seconds(self) -> float:
        """Seconds since the call began."""
        return time.perf_counter() - self.began

    def keeps(self, model: Model, draws: int) -> bool:
        """Whether draws are kept: as asked, else those of a target that are few enough."""
        if self.keep is not None or not isinstance(model, Target):
            return bool(self.keep)
        return draws * sum(leaf.size for leaf in jax.tree.leaves(like_z(model))) <= KEPT

    def over(
        self,
        one_batch: Callable[[Data, Int[Array, " b"]], Batch],
        data: Prepared,
        *,
        doing: str,
        at_once: int,
        finish: bool = True,
    ) -> Any:
        """What `one_batch(values, rows)` finds of all data: its arrays, whole and on the host.

        Args:
            one_batch: See `batches.in_batches`.
            data: What has passed the checks.
            doing: What the progress bar says.
            at_once: Data at once by default.
            finish: Take the file to resume from away at the end; else it stays for who calls.

        Raises:
            UsageError: A file to resume from that is another call's.
        """
        batch_size = at_once if self.batch_size is None else self.batch_size
        finished = None
        if self.resume is not None:
            asked = _asked(one_batch, data, batch_size)
            finished = Finished(self.resume, asked, stays=not finish)
        return in_batches(
            one_batch,
            data,
            batch_size=batch_size,
            doing=doing,
            progress=self.progress,
            finished=finished,
        )

    def estimate(
        self,
        one_batch: Callable[[Data, Int[Array, " b"]], Batch],
        data: Prepared,
        *,
        model: Model,
        direction: str,
        method: str,
        draws: int,
        terms: Terms | None,
        **how: Any,
    ) -> Estimate:
        """The estimate of all data, where `one_batch` gives a `Found` of each; `over` says how.

        `terms` are those of the verdict, None where nothing is drawn.
        """
        found = self.over(one_batch, data, **how)
        estimate = Estimate(
            log_evidence=found.log_evidence,
            stderr=found.stderr,
            ess=found.ess,
            result=result_codes(found.log_evidence, found.ess, draws),
            direction=direction,
            method=method,
            draws=draws,
            binarisation=data.once,
            seconds=self.seconds,
            diagnostics=found.diagnostics,
            rounding=found.rounding,
            weighted=None if found.draws is None else weighted(model, *found.draws),
            steps=data.steps,
        )
        return with_verdict(estimate, terms)


def refuse(given: Mapping[str, Any], without: tuple[str, ...], words: str) -> None:
    """Refuses settings that a call has no use for; None counts as not given.

    Args:
        given: What was given for `**execution`.
        without: Their names.
        words: The error, where "{name}" stands for the setting's.

    Raises:
        UsageError: One of them was given.
    """
    for name in without:
        if given.get(name) is not None:
            raise UsageError(words.format(name=name))


class Found(NamedTuple):
    """What an estimator finds of each datum: arrays with a leading axis n, in nats."""

    log_evidence: Any
    stderr: Any
    ess: Any
    rounding: Any
    diagnostics: dict[str, Any]
    draws: Any = None
    """Z of shape (n, k, ...) and log-weights of shape (n, k), where they are kept."""


def _asked(one_batch: Callable[..., Any], data: Prepared, batch_size: int) -> bytes:
    """All that results depend on: the program with model, settings and keys, and the data."""
    program = fingerprint(one_batch, *data.seen(np.arange(min(batch_size, data.n))))
    binarised = np.asarray(jax.random.key_data(data.binarise_key)).tolist()
    source = f"{data.source.digest}{data.source.binarisation}{binarised}{data.n}:{batch_size}"
    return hashlib.sha256(program + source.encode()).digest()


def per_device(draws: int, *, of_each: int) -> int:
    """Data at once, so that each device has about so many draws, chains or components."""
    return max(1, draws // of_each) * jax.device_count()
