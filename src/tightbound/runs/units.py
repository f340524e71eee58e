"""Active units of a run, as a record."""

from pathlib import Path

from tightbound import data
from tightbound.core.digests.record import write_record
from tightbound.diagnostics.active_units import THRESHOLD
from tightbound.evidence import active_units
from tightbound.recipes.settings import Config
from tightbound.training import Run

ITEMS = 500
"""Training items for active units, as in the code of Burda et al. (2015)."""


def write_units(directory: Path, run: Run, ds: data.Dataset, config: Config, weights: str) -> None:
    """Active units of the first replica, on the first training items."""
    layers = active_units(
        run.model, run.posterior, ds.train[:ITEMS], binarize=config.binarize, key=config.key
    )
    record = {
        "weights": weights,
        "threshold": THRESHOLD,
        "items": min(ITEMS, len(ds.train)),
        "layers": [
            {
                "name": f"h{level}",
                "variance": units.variance.tolist(),
                "kl": None if units.kl is None else units.kl.tolist(),
                "active": units.active,
                "spectrum": units.spectrum.tolist(),
            }
            for level, units in enumerate(layers, start=1)
        ],
    }
    write_record(directory / "units.json", "units", record)
