"""Pictures of outliers: what stands where, and on what scale."""

import numpy as np
from matplotlib.figure import Figure

from tightbound.report import outliers
from tightbound.report.outliers import Outlier, outliers_png
from tightbound.report.theme import LIGHT


def test_each_picture_has_its_blame_and_what_was_expected(monkeypatch):
    rng = np.random.default_rng(0)
    several = [
        Outlier(str(i), rng.random((2, 3)), rng.normal(size=(2, 3)), rng.random((2, 3)))
        for i in range(3)
    ]
    several[2].x[0, 0] = several[2].below[0, 0] = np.nan
    figure = Figure()
    monkeypatch.setattr(outliers, "draw_png", lambda draw, *_, **__: draw(figure, LIGHT) or b"")
    outliers_png(several)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 9
    for outlier, three in zip(several, np.reshape(panels, (3, 3)), strict=True):
        x, below, expected = (axes.images[0] for axes in three)
        np.testing.assert_array_equal(x.get_array(), np.ma.masked_invalid(outlier.x))
        np.testing.assert_array_equal(expected.get_array(), outlier.expected)
        shown = np.ma.masked_invalid(np.maximum(outlier.below, 0))
        np.testing.assert_array_equal(below.get_array(), shown)
        most = max(np.nanmax(one.below) for one in several)
        assert below.get_clim() == (0, most)


def test_pictures_as_usual_are_drawn():
    same = np.zeros((2, 2))
    assert outliers_png([Outlier("a", same, same - np.inf, same)])
