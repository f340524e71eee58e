"""Tables fitted without settings: candidates, chosen and combined by held-out rows."""

from tightbound.recipes.tables.choice import Candidate as Candidate
from tightbound.recipes.tables.choice import Choice as Choice
from tightbound.recipes.tables.choice import Judged as Judged
from tightbound.recipes.tables.fit_table import LEAST_ROWS as LEAST_ROWS
from tightbound.recipes.tables.fit_table import TableFit as TableFit
from tightbound.recipes.tables.fit_table import fit_table as fit_table
