"""What a run is fitted to: the parts of its data set, with their labels and its binarisation."""

import numpy as np
import pytest

from tightbound import data
from tightbound.recipes.settings import Config
from tightbound.runs import fitting


class Stopped(Exception):
    """Ends a run where it would be fitted."""


def test_a_run_is_fitted_to_the_labels_of_its_data_set(tmp_path, monkeypatch):
    seen = {}

    def fit(model, posterior, train, *, validation, **settings):
        seen.update(train=train, validation=validation)
        raise Stopped

    monkeypatch.setattr(fitting, "fit", fit)
    config = Config(data="digits", latent="1", hidden="2", binarize="fixed:3", evaluate_k=0)
    with pytest.raises(Stopped):
        fitting.fit_run(config, tmp_path / "run", resume=False)
    ds = data.load("digits")
    for part, source in seen.items():
        np.testing.assert_array_equal(source.labels, ds.labels[part])
        np.testing.assert_array_equal(source.x, getattr(ds, part))
        assert source.binarisation.description == "fixed (drawn once, seed 3)"
