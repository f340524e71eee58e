import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from tightbound.report import exhibit, write_report
from tightbound.report.pictures import (
    draw_heat_maps,
    image_shape,
    manifold_sheet,
    pairs_sheet,
    samples_sheet,
    value_range,
)
from tightbound.report.records import read_records
from tightbound.report.theme import LIGHT


def _pixels(png: bytes) -> np.ndarray:
    return np.round(255 * imread(io.BytesIO(png))).astype(int)


def test_samples_are_whole_pixels_of_the_right_grey_in_the_right_place():
    # 28 x 20 items are enlarged twice; item 11 opens the second row.
    samples = np.zeros((12, 28 * 20))
    samples[0, 0], samples[1, -1], samples[11, 0] = 1.0, 0.5, 0.2
    sheet = _pixels(samples_sheet(samples, (28, 20), (0.0, 1.0)))
    assert sheet.shape == (2 * 56 + 2, 10 * 40 + 9 * 2, 4)
    assert (sheet[0:2, 0:2] == 255).all()
    assert (sheet[2, 0] == [0, 0, 0, 255]).all()
    assert (sheet[54:56, 80:82] == [128, 128, 128, 255]).all()
    assert (sheet[58, 42] == [51, 51, 51, 255]).all()
    assert (sheet[:, 40:42, 3] == 0).all(), "gaps are transparent"
    assert (sheet[58:, 84:, 3] == 0).all(), "places without a sample are transparent"


def test_at_most_a_hundred_samples():
    sheet = _pixels(samples_sheet(np.zeros((250, 64)), (8, 8), (0.0, 1.0)))
    assert sheet.shape[:2] == (10 * 56 + 9 * 2, 10 * 56 + 9 * 2)


def test_each_reconstruction_is_right_beneath_its_original():
    originals = np.linspace(0.2, 1, 13)[:, None] * np.ones((13, 64))
    sheet = _pixels(pairs_sheet(originals, originals / 2, (8, 8), (0.0, 1.0)))
    assert sheet.shape[:2] == (4 * 56 + 2 + 12 + 2, 10 * 56 + 9 * 2)
    tops = [0, 58, 126, 184]
    grey = sheet[np.add(tops, 20)][:, 20 + 58 * np.arange(10), 0]
    levels = np.round(255 * originals[:, 0]).astype(int)
    halves = np.round(127.5 * originals[:, 0]).astype(int)
    np.testing.assert_array_equal(grey[0], levels[:10])
    np.testing.assert_array_equal(grey[1], halves[:10])
    np.testing.assert_array_equal(grey[2, :3], levels[10:])
    np.testing.assert_array_equal(grey[3, :3], halves[10:])
    assert (sheet[130, 190:, 3] == 0).all()


def test_manifold_is_a_square_without_gaps_row_by_row():
    manifold = np.arange(9)[:, None] / 8 * np.ones((9, 64))
    sheet = _pixels(manifold_sheet(manifold, (8, 8), (0.0, 1.0)))
    assert sheet.shape[:2] == (3 * 56, 3 * 56)
    np.testing.assert_array_equal(
        sheet[28::56, 28::56, 0], np.round(255 * np.arange(9).reshape(3, 3) / 8)
    )


def test_pixels_that_are_not_finite_stand_out():
    sheet = _pixels(samples_sheet(np.array([[0.0, np.nan, np.inf, 1.0]]), (2, 2), (0.0, 1.0)))
    assert sheet.shape == (56, 56, 4)
    assert (sheet[0, 55] == [214, 40, 90, 255]).all()
    assert (sheet[55, 0] == [214, 40, 90, 255]).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.2, 0.8], (0.0, 1.0)),
        ([-1.0, 3.0, np.nan], (-1.0, 3.0)),
        ([5.0, 5.0], (5.0, 6.0)),
        ([np.nan, np.inf], (0.0, 1.0)),
    ],
)
def test_value_range_is_the_unit_interval_unless_values_leave_it(values, expected):
    assert value_range(np.array([values])) == expected


def test_only_items_of_two_dimensions_are_pictures(full_run, rewrite):
    array = np.zeros((3, 64))
    assert image_shape(read_records(full_run), array) == (8, 8)
    assert image_shape(read_records(full_run), array[:, :63]) is None
    rewrite(full_run / "run.json", data={"shape": [64]})
    assert image_shape(read_records(full_run), array) is None
    (full_run / "run.json").unlink()
    assert image_shape(read_records(full_run), array) is None


def test_heat_maps_show_each_feature_in_its_own_range():
    figure = Figure()
    share = np.arange(150.0).reshape(50, 3) / 200
    low, spread = np.array([0.0, -5.0, 1e4]), np.array([1e-3, 1.0, 1e6])
    first, second = low + spread * share, low + spread * (share + 0.25)
    first[3, 1] = np.nan
    panels = {"originals": first, "reconstructions": second}
    draw_heat_maps(figure, LIGHT, panels=panels, limits=(-5.0, 1e6))
    images = [axes.images[0].get_array() for axes in figure.axes[:2]]
    assert [axes.images[0].get_clim() for axes in figure.axes[:2]] == [(0.0, 1.0)] * 2
    expected = (share - share[0]) / (share[-1] + 0.25 - share[0])
    assert images[0].mask[3, 1]
    np.testing.assert_allclose(images[0].filled(np.nan)[4:40], expected[4:40], atol=1e-9)
    beneath = (share + 0.25 - share[0]) / (share[-1] + 0.25 - share[0])
    np.testing.assert_allclose(images[1].filled(np.nan), beneath[:40], atol=1e-9)
    assert figure.axes[0].get_facecolor() != figure.axes[1].get_facecolor()


def test_heat_maps_of_shares_show_the_values_themselves():
    figure = Figure()
    table = np.arange(150.0).reshape(50, 3) / 150
    draw_heat_maps(figure, LIGHT, panels={"samples": table}, limits=(0.0, 1.0))
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), table[:40])


def test_other_data_become_heat_maps_in_the_report(full_run, rewrite, monkeypatch):
    rewrite(full_run / "run.json", data={"name": "wine", "shape": [13]})
    table = np.random.default_rng(0).standard_normal((30, 13)).astype(np.float32)
    names = ("samples", "originals", "reconstructions", "manifold")
    rewrite(full_run / "pictures.safetensors", arrays=dict.fromkeys(names, table))
    titles = []

    def draw_png(draw, theme, *, width, height):
        figure = Figure()
        draw(figure, theme)
        titles.append([axes.get_title(loc="left") or axes.get_title() for axes in figure.axes])
        return b"png"

    monkeypatch.setattr(exhibit, "draw_png", draw_png)
    document = write_report(full_run).read_text(encoding="utf-8")
    assert "one row each" in document
    assert "Latent manifold" in document
    assert ["originals", "reconstructions", ""] in titles
    assert ["samples", ""] in titles
