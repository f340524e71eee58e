"""Draws of a run's model given some values of a row, or a label."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from tightbound.models import plug_in
from tightbound.runs.folder import Opened, items_of, refuse_draws
from tightbound.runs.source import schema_of
from tightbound.tasks import ConditionalSamples, conditional_samples
from tightbound.tasks.predictive import K


class ConditionalRows(NamedTuple):
    """What `conditional_rows` draws."""

    found: ConditionalSamples
    drawn: bool
    """Whether z is drawn from a posterior, and not summed over."""

    @property
    def rows(self) -> Float[np.ndarray, "n d"]:
        """The draws, one a row."""
        return self.found.x.reshape(len(self.found.x), -1)

    def record(self) -> dict[str, Any]:
        """How good they are; nats."""
        found = self.found
        record: dict[str, Any] = {"log_p_given": found.log_p}
        if self.drawn:
            record |= {"stderr": found.stderr, "k": found.k, "ess": found.ess, "khat": found.khat}
            if found.unsure:
                record["notes"] = "k-hat beyond 0.7: z is drawn badly given these values"
        return record


def conditional_rows(
    opened: Opened, given: Mapping[str, str], *, n: int, k: int | None = None, key: int = 0
) -> ConditionalRows:
    """Draws n rows given values of columns, or a label, by a run's first seed.

    Args:
        opened: The run.
        given: Values by name of column, or by its number where columns have no names; levels in
            the source's words, numbers as the model sees them.
        n: How many.
        k: Draws of z for each hundred, by default 1,000; of a run without a posterior none.
        key: Seed.

    Raises:
        UsageError: As for `tb.tasks.conditional_samples`.
    """
    refuse_draws(opened, k=k)
    schema = schema_of(opened.directory, opened)
    columns = items_of(opened.directory).columns
    numbers = {name: number for number, name in enumerate(columns)} if schema is None else {}
    found = conditional_samples(
        plug_in(opened.model),
        opened.posterior,
        {numbers.get(name, name): value for name, value in given.items()},
        n,
        k=K if k is None else k,
        schema=schema,
        key=key,
    )
    return ConditionalRows(found, opened.posterior is not None)
