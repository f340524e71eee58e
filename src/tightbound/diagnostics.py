"""Diagnostics of a fitted model and its posterior."""

from tightbound.evidence.active_units import LayerUnits as LayerUnits
from tightbound.evidence.active_units import active_units as active_units
