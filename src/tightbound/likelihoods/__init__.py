"""Likelihoods p(x|z) by name, and the units they are in."""

from typing import TYPE_CHECKING, Any

from tightbound.core.discovery import classes as _classes
from tightbound.distributions import AbstractConditional as _AbstractConditional
from tightbound.likelihoods.columns import Columns as Columns
from tightbound.likelihoods.masked import Masked as Masked
from tightbound.likelihoods.registry import Likelihood as Likelihood
from tightbound.likelihoods.registry import likelihoods as likelihoods
from tightbound.likelihoods.standardized import Standardized as Standardized
from tightbound.likelihoods.stepwise import Stepwise as Stepwise
from tightbound.likelihoods.table import AS_LEVELS as AS_LEVELS
from tightbound.likelihoods.table import Table as Table
from tightbound.likelihoods.table import checked as checked
from tightbound.likelihoods.table import of_columns as of_columns
from tightbound.likelihoods.table_components import TableComponents as TableComponents
from tightbound.likelihoods.table_components import parted as parted
from tightbound.likelihoods.univariate import AbstractUnivariate as AbstractUnivariate
from tightbound.likelihoods.univariate import Part as Part
from tightbound.likelihoods.warps import Warps as Warps

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Likelihoods in files of your own, which the last line finds."""


for _kind in (_AbstractConditional, AbstractUnivariate):
    globals().update(_classes("likelihoods", _kind))
