import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import tightbound as tb
from tightbound.data.binarise import Binarisation, resolve

GREY = np.array([[0.0, 0.25, 1.0], [0.5, 0.75, 0.125]], np.float32)
BINARY = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
REAL = np.array([[-1.0, 0.25, 7.0], [0.5, 0.75, 0.0]], np.float32)


def flat(value, n=400, d=3):
    return jnp.full((n, d), value, jnp.float32)


@pytest.mark.parametrize("mode", ["dynamic", "fixed"])
def test_draws_are_binary_floats_and_certain_at_the_ends(mode, getkey):
    grey = jnp.concatenate([flat(0.0), flat(0.5), flat(1.0)])
    out = Binarisation(mode)(grey, jnp.arange(1200), use=0, key=getkey())
    assert out.dtype == jnp.float32
    assert set(np.unique(out).tolist()) == {0.0, 1.0}
    assert not out[:400].any()
    assert out[800:].all()


@pytest.mark.stat
@pytest.mark.parametrize("mode", ["dynamic", "fixed"])
def test_means_are_the_grey_values(mode, getkey):
    """Five values, 4000 pixels each: a z-test of each mean at 4.5; false alarms 7e-5."""
    for level in (0.03, 0.25, 0.5, 0.8, 0.999):
        out = Binarisation(mode)(flat(level, 1000, 4), jnp.arange(1000), use=3, key=getkey())
        z = (float(out.mean()) - level) / np.sqrt(level * (1 - level) / out.size)
        assert abs(z) < 4.5


@pytest.mark.stat
def test_pixels_items_and_uses_are_drawn_independently(getkey):
    """Pairs of fair pixels agree half of the time: binomial tests, false alarms 1e-4 each."""
    draw, items, key = Binarisation("dynamic"), jnp.arange(1000), getkey()
    first, second = (draw(flat(0.5, 1000, 4), items, use=use, key=key) for use in range(2))
    pairs = {
        "uses": first == second,
        "items": first[:-1] == first[1:],
        "pixels": first[:, :-1] == first[:, 1:],
        "keys": first == draw(flat(0.5, 1000, 4), items, use=0, key=getkey()),
    }
    for name, agree in pairs.items():
        test = stats.binomtest(int(agree.sum()), agree.size, 0.5)
        assert test.pvalue > 1e-4, name


@pytest.mark.parametrize("mode", ["dynamic", "fixed", "none"])
def test_an_item_does_not_depend_on_its_batch(mode, getkey):
    draw, key = Binarisation(mode), getkey()
    grey = jnp.asarray(np.random.default_rng(0).random((12, 5)), jnp.float32)
    whole = draw(grey, jnp.arange(12), use=2, key=key)
    some = jnp.array([7, 3, 11])
    np.testing.assert_array_equal(draw(grey[some], some, use=2, key=key), whole[some])
    one = jnp.array([5])
    np.testing.assert_array_equal(draw(grey[one], one, use=2, key=key), whole[one])
    compiled = jax.jit(lambda x, use: draw(x, some, use=use, key=key))
    np.testing.assert_array_equal(compiled(grey[some], 2), whole[some])


def test_fixed_repeats_and_depends_on_its_seed_alone(getkey):
    items = jnp.arange(400)
    first = Binarisation("fixed", 3)(flat(0.5), items, use=0, key=getkey())
    again = Binarisation("fixed", 3)(flat(0.5), items, use=9, key=getkey())
    np.testing.assert_array_equal(first, again)
    other = Binarisation("fixed", 4)(flat(0.5), items, use=0, key=getkey())
    assert 0.4 < float((first == other).mean()) < 0.6


def test_none_leaves_values_as_they_are(getkey):
    out = Binarisation("none")(jnp.asarray(REAL), jnp.arange(2), use=0, key=getkey())
    np.testing.assert_array_equal(out, REAL)


@pytest.mark.parametrize(
    ("support", "x", "mode"),
    [
        ("binary", GREY, "dynamic"),
        ("binary", BINARY, "none"),
        ("unit", GREY, "none"),
        ("unit", BINARY, "none"),
        ("real", GREY, "none"),
        ("real", BINARY, "none"),
        ("real", REAL, "none"),
    ],
)
def test_auto_binarises_grey_values_of_bernoulli_likelihoods_only(support, x, mode):
    assert resolve("auto", support, x, "the data") == Binarisation(mode)


@pytest.mark.parametrize(
    ("binarize", "expected"),
    [
        ("dynamic", Binarisation("dynamic")),
        ("fixed", Binarisation("fixed", 0)),
        ("fixed:17", Binarisation("fixed", 17)),
        ("fixed:4294967295", Binarisation("fixed", 2**32 - 1)),
    ],
)
def test_modes_by_name(binarize, expected):
    assert resolve(binarize, "binary", GREY, "the data") == expected
    assert str(expected.seed) in expected.description or expected.mode == "dynamic"


@pytest.mark.parametrize(
    "binarize", ["", "static", "fixed:x", "fixed:-1", "fixed:1.5", "dynamic:3", "fixed:4294967296"]
)
def test_unknown_modes_are_refused_by_name(binarize):
    with pytest.raises(tb.UsageError, match=f"expected binarize out of auto, .*, got '{binarize}'"):
        resolve(binarize, "binary", GREY, "the data")


@pytest.mark.parametrize(
    ("binarize", "support", "x", "words"),
    [
        ("none", "binary", GREY, r"binarize='none'\): row 0, column 1 .* is 0.25, expected 0 or 1"),
        ("auto", "binary", REAL, r"row 0, column 0 .* is -1.0, expected a number in \[0, 1\]"),
        ("dynamic", "real", REAL, r"row 0, column 0 .* is -1.0, expected a number in \[0, 1\]"),
        ("fixed", "binary", REAL, r"row 0, column 0 .* is -1.0, expected a number in \[0, 1\]"),
        ("auto", "unit", REAL, r"row 0, column 0 .* is -1.0, expected a number in \[0, 1\]"),
        (
            "auto",
            "real",
            np.full_like(REAL, -np.inf),
            "row 0, column 0 .* is -inf, expected a finite number",
        ),
    ],
)
def test_values_outside_the_support_are_named(binarize, support, x, words):
    with pytest.raises(tb.UsageError, match=f"^the data.*{words}$"):
        resolve(binarize, support, x, "the data")
