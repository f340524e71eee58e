"""Conditionals against closed forms, and probabilities of levels against quadrature.

False alarms: numbers are compared at 4.9 of their standard errors (below 1e-6 each).
"""

import numpy as np
import pytest

import tightbound as tb
from tests.cases import UNIFORM_TABLE, mixed_table
from tests.models.test_holes import holed, linear, truth
from tests.tasks.test_predictive import ROWS, mixture
from tests.tasks.test_score import exact_log_p, without
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.models import bayesian
from tightbound.tasks import conditional, level_probabilities, score

TABLE = mixed_table(UNIFORM_TABLE)
MODEL, Q = tb.autoencoder(TABLE, likelihood="columns", latent=1, hidden=(4,), key=3)


@pytest.mark.parametrize(("of", "given"), [([0], None), ([2, 0], [1]), ([1], []), ([0, 1, 2], [])])
def test_of_a_mixture_of_normals_it_is_exact(of, given):
    found = conditional(mixture(), None, ROWS, of, given)
    behind = [j for j in range(3) if j not in of] if given is None else given
    for number, row in enumerate(ROWS):
        neither = [j for j in range(3) if j not in (*of, *behind)]
        both = exact_log_p(without(row, *neither))
        rest = exact_log_p(without(row, *neither, *of))
        assert found.log_p[number] == pytest.approx(both - rest, abs=1e-5)
    assert not found.stderr.any()
    assert not found.at_least.any()
    assert found.verdict == "trust"


@pytest.mark.stat
def test_both_terms_have_a_say_in_the_error():
    model, _, _ = linear()
    x = holed()
    found = conditional(model, model.prior, x, [3, 1], [0], k=5000, key=2)
    right = [truth(without(row, 2)[None])[0] - truth(without(row, 1, 2, 3)[None])[0] for row in x]
    away = np.abs(found.log_p - right)
    assert np.all(away < LIMIT * found.stderr + 2e-4)
    np.testing.assert_allclose(found.stderr, np.hypot(found.joint.stderr, found.given.stderr))
    assert found.stderr.max() < 0.2


@pytest.mark.slow
def test_columns_have_the_names_of_the_data_or_of_the_model():
    by_name = conditional(MODEL, Q, TABLE.train[:3], ["visits"], k=10, key=1)
    by_number = conditional(MODEL, Q, TABLE.train[:3], [2], k=10, key=1)
    np.testing.assert_array_equal(by_name.log_p, by_number.log_p)
    with pytest.raises(UsageError, match="did you mean visits"):
        conditional(MODEL, Q, TABLE.train[:3], ["vists"])
    cell = score(
        MODEL, Q, TABLE.train[:3], blame=[1], k=10, schema=TABLE.schema, batch_size=3
    ).blame(1)
    texts = {one.column: one.value for one in cell}
    assert set(texts) == set(TABLE.columns)
    for place in (3, 4, 5):
        column = TABLE.schema.columns[place]
        assert texts[column.name] == column.levels[int(TABLE.train[1, place])]


@pytest.mark.slow
@pytest.mark.stat
@pytest.mark.parametrize("place", [3, 4, 5])
def test_probabilities_of_levels_are_those_of_quadrature(place):
    x = np.array(TABLE.train[:4])
    x[1, 0], x[2, place] = np.nan, np.nan
    levels = len(TABLE.schema.columns[place].levels)
    copies = np.repeat(x, levels, axis=0)
    copies[:, place] = np.tile(np.arange(levels), 4)
    joint = tb.evidence.exact(MODEL, copies).log_evidence.reshape(4, levels)
    right = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
    found = level_probabilities(MODEL, MODEL.prior, x, TABLE.columns[place], k=20_000, key=4)
    assert found.shape == (4, levels)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    # Probabilities vary over z by 1/2 at most; the weights' effective number is above 400.
    hidden = np.array(x)
    hidden[:, place] = np.nan
    ess = tb.tasks.predictive(MODEL, MODEL.prior, hidden, draws=1, k=20_000, key=4).ess
    assert ess.min() > 400
    assert np.all(np.abs(found - right) < LIMIT * 0.5 / np.sqrt(ess)[:, None])
    # What the column holds does not matter, and the rest does.
    other = x.copy()
    other[:, place] = 0
    again = level_probabilities(MODEL, MODEL.prior, other, place, k=20_000, key=4)
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_what_is_asked_wrongly_is_refused():
    for of, given, words in [
        ([], None, "one column or more"),
        ([3], None, "from 0 to 2"),
        ([0, 0], None, "once"),
        ([0], [1, 0], "on both"),
        ("age", None, "list of columns"),
        ([True], None, "by name or from 0 to 2"),
    ]:
        with pytest.raises(UsageError, match=words):
            conditional(mixture(), None, ROWS, of, given)
    with pytest.raises(UsageError, match="column with levels"):
        level_probabilities(mixture(), None, ROWS, 0)
    with pytest.raises(UsageError, match="has no binarize="):
        level_probabilities(MODEL, Q, TABLE.train, 3, binarize="fixed")
    for call in (lambda m: conditional(m, Q, ROWS, [0]), lambda m: score(m, Q, ROWS)):
        with pytest.raises(UsageError, match=r"model\.mean"):
            call(bayesian(MODEL))
