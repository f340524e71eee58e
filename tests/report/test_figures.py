import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from tightbound.report.bounds import EpochBounds
from tightbound.report.classifiers import draw_classifiers
from tightbound.report.curves import (
    bounds_by_k,
    draw_bound_against_k,
    draw_learning_curve,
    finite_mean,
    training_k,
)
from tightbound.report.records import read_records
from tightbound.report.tails import draw_khat, share_above
from tightbound.report.theme import LIGHT
from tightbound.report.units import draw_active_units, layers


def _bars(axes: Axes) -> list[Rectangle]:
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def _data(line: Line2D, axis: str) -> np.ndarray:
    return np.asarray(line.get_xdata() if axis == "x" else line.get_ydata(), np.float64)


def test_bounds_are_sorted_by_k_as_numbers(full_run):
    ks, table = bounds_by_k(read_records(full_run))
    np.testing.assert_array_equal(ks, [1, 5, 10, 100, 5000])
    np.testing.assert_array_equal(table, [[-22, -21.5, -21, -20.4, -20.1]] * 2)


def test_bound_figure_draws_the_mean_and_marks_the_k_of_training(full_run, rewrite):
    records = read_records(full_run)
    figure = Figure()
    draw_bound_against_k(figure, LIGHT, records=records)
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(_data(lines["mean of 2 seeds"], "y"), bounds_by_k(records)[1][0])
    assert axes.get_xscale() == "log"
    np.testing.assert_array_equal(_data(axes.lines[-2], "x"), [50, 50])
    assert "trained at k = 50" in lines
    assert [text.get_text() for text in axes.get_xticklabels()][0] == "5\u202f000"


def test_k_of_training_falls_back_to_the_configuration(full_run, rewrite):
    assert training_k(read_records(full_run)) == 50
    rewrite(full_run / "run.json", bound={"k": 7})
    assert training_k(read_records(full_run)) == 7
    (full_run / "run.json").unlink()
    assert training_k(read_records(full_run)) == 50


def test_crowded_ks_keep_readable_labels(full_run, evaluated, rewrite):
    ks = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    seed = {"bound_by_k": {str(k): -20.0 - 1 / k for k in ks}}
    rewrite(evaluated, seeds=[seed])
    figure = Figure()
    draw_bound_against_k(figure, LIGHT, records=read_records(full_run))
    ticks = np.sort(figure.axes[0].get_xticks())
    assert ticks[-1] == 5000
    assert set(ticks) < set(ks)
    assert (np.diff(np.log(ticks)) >= np.log(5000) / 7).all()


def _history(train, validation):
    epochs = np.arange(1.0, len(train) + 1)
    train, validation = np.array(train, np.float64), np.array(validation, np.float64)
    return EpochBounds(epochs, train, validation, np.full_like(train, np.nan))


def test_learning_curve_draws_seeds_and_means_of_what_is_recorded():
    nan = np.nan
    history = _history([[-4, -2], [-3, -1], [-2, nan]], [[nan, nan], [-5, -4], [nan, nan]])
    figure = Figure()
    draw_learning_curve(figure, LIGHT, history=history)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    np.testing.assert_allclose(_data(lines["training, mean of 2 seeds"], "y"), [-3, -2, -2])
    np.testing.assert_allclose(_data(lines["validation, mean of 2 seeds"], "x"), [2])
    np.testing.assert_allclose(_data(lines["validation, mean of 2 seeds"], "y"), [-4.5])
    assert len(lines) == 6, "two seeds and a mean for either"


def test_a_diverged_seed_does_not_spoil_the_others():
    figure = Figure(layout="constrained")
    train = [[-3, -np.inf], [-2, np.nan], [-1, np.inf]]
    draw_learning_curve(figure, LIGHT, history=_history(train, np.full((3, 2), np.nan)))
    figure.draw_without_rendering()
    np.testing.assert_allclose(_data(figure.axes[0].lines[-1], "y"), [-3, -2, -1])
    assert figure.axes[0].get_ylim() == pytest.approx((-3.1, -0.9))


@pytest.mark.parametrize(("first", "zoomed"), [(-500.0, True), (-3.0, False)])
def test_learning_curve_says_so_when_the_start_is_off_the_frame(first, zoomed):
    train = np.linspace(-3, -2, 40)[:, None]
    train[0] = first
    figure = Figure()
    draw_learning_curve(figure, LIGHT, history=_history(train, np.full((40, 1), np.nan)))
    (axes,) = figure.axes
    notes = [text.get_text() for text in axes.texts]
    assert notes == (["↓ first epochs from −500.0, below the frame"] if zoomed else [])
    assert bool(axes.get_ylim()[0] > first) == zoomed


def test_finite_mean_passes_over_what_is_not_finite():
    table = np.array([[1.0, np.nan, 3.0], [np.nan, np.inf, np.nan]])
    np.testing.assert_array_equal(finite_mean(table, axis=1), [2.0, np.nan])


def test_layers_keep_order_counts_and_missing_kl(full_run):
    first, second = layers(read_records(full_run))
    assert (first.name, first.active, second.name, second.active) == ("h1", 2, "h2", 1)
    assert first.kl is not None
    np.testing.assert_array_equal(first.kl, [0.3, 0.0, 0.6])
    assert second.kl is None


def test_activity_is_counted_where_the_record_does_not(full_run, rewrite):
    rewrite(full_run / "units.json", layers=[{"variance": [0.5, 0.01, 0.02]}])
    (layer,) = layers(read_records(full_run))
    assert (layer.name, layer.active) == ("layer 1", 2)


def test_bars_leave_the_threshold_upwards_for_active_units_only(full_run):
    figure = Figure()
    draw_active_units(figure, LIGHT, found=layers(read_records(full_run)))
    activity, kl, spectrum = figure.axes[:3]
    tops = [bar.get_y() + bar.get_height() for bar in _bars(activity)]
    np.testing.assert_allclose(tops, np.log10([0.9, 0.5, 0.001]))
    np.testing.assert_allclose([bar.get_y() for bar in _bars(activity)], -2)
    colors = [to_hex(bar.get_facecolor()) for bar in _bars(activity)]
    assert colors == [LIGHT.main, LIGHT.main, LIGHT.idle]
    np.testing.assert_allclose([bar.get_height() for bar in _bars(kl)], [0.6, 0.3, 0.0])
    np.testing.assert_allclose(_data(spectrum.lines[-1], "y"), np.log10([1.0, 0.4, 0.001]))
    assert "h1: 2 of 3 units active" in (activity.get_title(loc="left"), activity.get_title())
    assert "no closed form for this layer" in [text.get_text() for text in figure.axes[4].texts]


def test_tails_are_counted_by_zone_and_a_nan_counts_as_bad():
    khat = np.array([[0.1, 0.65, 0.7, 0.75, 1.5, 9.0, np.nan, -3.0]])
    assert share_above(khat, 0.7) == pytest.approx(4 / 8)
    assert share_above(khat, 1.0) == pytest.approx(3 / 8)
    figure = Figure()
    draw_khat(figure, LIGHT, khat=khat)
    (axes,) = figure.axes
    by_color: dict[str, float] = {}
    for bar in _bars(axes):
        color = to_hex(bar.get_facecolor())
        by_color[color] = by_color.get(color, 0) + bar.get_height()
    assert by_color == {LIGHT.main: 3, LIGHT.second: 2, LIGHT.bad: 2}
    notes = [text.get_text() for text in axes.texts]
    assert notes == ["50.0 % above 0.7", "37.5 % above 1", "1 not finite"]
    np.testing.assert_array_equal([_data(line, "x") for line in axes.lines], [[0.7] * 2, [1.0] * 2])


def test_classifiers_by_epoch_and_where_probabilities_can_be_believed(adversarial_run):
    figure = Figure()
    draw_classifiers(figure, LIGHT, records=read_records(adversarial_run))
    losses, reliability = figure.axes
    np.testing.assert_allclose(_data(losses.lines[2], "y"), [0.65, 0.65, 0.65])
    np.testing.assert_allclose(_data(losses.lines[3], "y"), np.log(2))
    np.testing.assert_allclose(_data(reliability.lines[1], "x"), [0.2, 0.7])
    np.testing.assert_allclose(_data(reliability.lines[1], "y"), [0.25, 0.68])
    assert reliability.get_title(loc="left") + reliability.get_title() == (
        "accuracy 65.5 %, 0.612 nats"
    )
