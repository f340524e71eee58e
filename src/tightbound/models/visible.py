"""The law of what is seen, and how networks see it: for all models that are built by names."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxtyping import PRNGKeyArray

from tightbound.core.calls import Call
from tightbound.likelihoods import Columns, Table, likelihoods, of_columns
from tightbound.networks import Body, Features, Standardization


class Visible(NamedTuple):
    """A likelihood by name, for values in the units that networks see."""

    law: Any
    units: Standardization | None
    """How values are standardised for it; None for those as they come."""
    columns: int

    @property
    def view(self) -> Standardization | Features | None:
        """What networks see of values as they come; None for the values."""
        return self.law.features if isinstance(self.law, Columns) else self.units

    @property
    def seen(self) -> int:
        """How many numbers that are."""
        return self.law.features.size if isinstance(self.law, Columns) else self.columns


def visible_law(
    calls: Mapping[str, Call] | Call, body: Body, table: Table, key: PRNGKeyArray
) -> Visible:
    """The likelihood of a table's rows by name, or by names of columns.

    Raises:
        UsageError: Values that it is not for, or what `of_columns` refuses.
    """
    columns = table.values.shape[1]
    whole = None if isinstance(calls, Mapping) else likelihoods()[calls.name]
    if whole is None or whole.build is None:
        return Visible(of_columns(calls, body, table, key), None, columns)
    units = Standardization.of(table.values) if whole.standardised else None
    return Visible(whole.build(body, table.values, key), units, columns)
