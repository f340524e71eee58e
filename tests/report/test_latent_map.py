"""Densities behind a map against a normal's, and maps by what is in them."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from tightbound.report import latent_map
from tightbound.report.latent_map import Labels, Manifold, density, map_png
from tightbound.report.pictures import tiled
from tightbound.report.theme import LIGHT


def test_contours_of_a_normal_are_its_circles():
    """A region of highest density that holds a share p has the radius sqrt(-2 log(1 - p))."""
    draws = np.random.default_rng(0).normal(size=(40_000, 2)) * [2.0, 0.5] + [3.0, -1.0]
    found = density(draws)
    assert found.density.sum() == pytest.approx(1)
    x, y = np.meshgrid((found.x - 3) / 2, (found.y + 1) / 0.5)
    cell = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    for level, share in zip(found.levels, latent_map.HELD, strict=True):
        inside = found.density >= level
        assert found.density[inside].sum() == pytest.approx(share, abs=0.01)
        # The area of the ellipse, wider by the kernel's 0.28 standard deviations: 8 % at most,
        # and the noise of 40,000 draws.
        area = -2 * np.log(1 - share) * np.pi * 2 * 0.5
        assert area * 0.97 < inside.sum() * cell < area * 1.2
        assert np.hypot(x, y)[inside].max() < 1.2 * np.sqrt(-2 * np.log(1 - share))


def test_a_density_in_a_box_is_reflected_at_its_ends():
    draws = np.random.default_rng(1).random((100_000, 2))
    found = density(draws, box=(0.0, 1.0))
    even = found.density * found.density.size
    # Counts of 2.5 a cell under kernels of 8 cells: an error of 2 %, beyond 8 of them nowhere.
    assert np.abs(even - 1).max() < 0.25
    assert abs(even[[0, -1]].mean() - 1) < 0.05


def test_points_at_one_place_are_drawn():
    assert map_png(np.zeros((3, 2)), np.zeros((6, 2)), ("z1", "z2"))


def test_the_first_row_of_a_manifold_is_on_top_and_labels_have_a_legend():
    points = np.random.default_rng(2).normal(size=(30, 2))
    labels = Labels(np.arange(30) % 3 - 1, ("fir", "oak"))
    figure = Figure()
    items = np.repeat(np.linspace(0, 1, 9)[:, None], 4, axis=1)
    manifold = Manifold(items, (2, 2))
    left, right = figure.subplots(1, 2)
    latent_map._draw_points(left, LIGHT, points, density(points), ("z1", "z2"), labels)
    said = [text.get_text() for text in left.get_legend().get_texts()]
    assert said == ["fir", "oak", "unknown"]
    latent_map._draw_manifold(right, LIGHT, points, points, labels, manifold)
    sheet = right.images[0].get_array()
    np.testing.assert_allclose(sheet[::2, ::2], np.linspace(0, 1, 9).reshape(3, 3))
    assert right.images[0].origin == "upper"
    png = map_png(points, points, ("z1", "z2"), labels=labels, manifold=manifold)
    assert imread(io.BytesIO(png)).shape == (1040, 2280, 4)


def test_many_labels_have_no_colours():
    labels = Labels(np.arange(30), tuple(map(str, range(30))))
    figure = Figure()
    axes = figure.subplots()
    points = np.random.default_rng(3).normal(size=(30, 2))
    latent_map._draw_points(axes, LIGHT, points, density(points), ("z1", "z2"), labels)
    assert axes.get_legend() is None


def test_tiles_stand_row_by_row():
    items = np.arange(5)[:, None] * np.ones((5, 6))
    found = tiled(items, (2, 3), 2)
    np.testing.assert_array_equal(found[::2, ::3], [[0, 1], [2, 3]])
    assert found.shape == (4, 6)
