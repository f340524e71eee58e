"""What the classifiers of an adversarial run are worth, in the run's folder."""

from pathlib import Path

from tightbound import data
from tightbound.core.digests.record import write_record
from tightbound.diagnostics.ratio_calibration import ratio_calibration
from tightbound.objectives import AbstractObjective
from tightbound.objectives.implicit.nested import Nested
from tightbound.objectives.implicit.terms import Classifier
from tightbound.recipes.settings import Config
from tightbound.training import Run

DRAWS = 10_000


def write_calibration(
    directory: Path,
    run: Run,
    objective: AbstractObjective,
    ds: data.Dataset,
    config: Config,
    weights: str,
) -> None:
    """Loss, accuracy and reliability of replica 0's classifiers on validation data, if it has any.

    Their networks are not in the run's file, so that this is measured where they are at hand.
    """
    nested = isinstance(objective, Nested)
    if not nested or not any(isinstance(term, Classifier) for term in objective.terms):
        return
    x = ds.validation if len(ds.validation) else ds.train
    found = ratio_calibration(
        run, objective, x, draws=DRAWS, key=config.key, binarize=config.binarize
    )
    record = {
        "weights": weights,
        "data": "validation" if len(ds.validation) else "training",
        "draws": DRAWS,
        "classifiers": [
            {
                "loss": one.loss,
                "accuracy": one.accuracy,
                "calibration_error": one.error,
                "predicted": one.predicted.tolist(),
                "observed": one.observed.tolist(),
                "counts": one.counts.tolist(),
            }
            for one in found
        ],
    }
    write_record(directory / "calibration.json", "calibration", record)
