"""The sandwich of pairs that are given, of targets and of real data; its draws, and going on.

False alarms: means at 4.9 standard errors, below 1e-6 a number; the keys are fixed.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tests.laws import runs
from tests.laws.runs import EXACT, WRONG
from tests.oracles import linear_gaussian
from tests.ztest import LIMIT
from tightbound.core.errors import UsageError
from tightbound.distributions import StandardNormal
from tightbound.evidence import resume, reverse_annealed
from tightbound.evidence.batches import Progress

MODEL = runs.parts_of(EXACT, 1).model
SHORT = {"temperatures": 30, "chains": 8, "leapfrog": 3}


def pairs(n, model=MODEL):
    x, z = jax.vmap(model.sample)(jax.random.split(jax.random.key(11), n))
    return np.asarray(x), jax.tree.map(np.asarray, z)


@pytest.mark.slow
@pytest.mark.stat
def test_pairs_of_a_simulator_give_bounds():
    x, z = pairs(100)
    both = tb.sandwich(MODEL, x=x, z=z, keep=True, **SHORT)
    truth = linear_gaussian.log_evidence(MODEL, x)
    for bound, sign in ((both.lower, 1), (both.upper, -1)):
        away = sign * (truth - bound.log_evidence)
        assert -LIMIT * away.std() / 10 < away.mean() < 0.1
    between = both.upper.log_evidence - both.lower.log_evidence
    assert both.gap == pytest.approx(between.mean())
    assert both.stderr_gap == pytest.approx(between.std(ddof=1) / 10)
    assert (both.lower.direction, both.upper.direction) == ("lower", "upper")
    np.testing.assert_array_equal(both.x, x)
    np.testing.assert_array_equal(both.z, z)
    assert both.lower.weighted.z.shape == (100, 8, 2)
    assert both.upper.weighted is None
    assert "z as given" in both.summary()
    assert f"(standard error {both.stderr_gap:.3f}" in both.summary()
    # Chains forget where they began: z of other data need not show, which the summary says.
    wrong = tb.sandwich(MODEL, x=x, z=z[::-1], **SHORT)
    assert abs(wrong.gap) < 0.2
    assert "others need not show" in wrong.summary()


@pytest.mark.slow
@pytest.mark.stat
def test_of_real_data_the_upper_side_is_consistent_and_says_so():
    x, _ = pairs(60)
    x = 1.5 * x  # no draws of the model
    truth = linear_gaussian.log_evidence(MODEL, x)
    both = tb.sandwich(MODEL, x=x, **SHORT)
    assert (both.lower.direction, both.upper.direction) == ("lower", "consistent")
    assert both.z.shape == (60, 8, 2)
    assert both.lower.weighted is None
    for side in (both.lower, both.upper):
        away = side.log_evidence - truth
        assert abs(away.mean()) < 0.1 + LIMIT * away.std() / np.sqrt(60)
    words = both.summary()
    assert "is no bound" in words
    assert "missed modes" in words
    assert "median ESS" in words
    # Far from done, both sides are off, and the gap shows it.
    early = tb.sandwich(MODEL, x=3 * x, temperatures=2, chains=8, leapfrog=1)
    assert early.gap > 1


@pytest.mark.slow
@pytest.mark.stat
def test_what_no_chain_has_found_no_gap_shows():
    far = tb.Target(
        lambda z: jnp.logaddexp(
            StandardNormal(2).log_prob(z), StandardNormal(2).log_prob(z - 40.0)
        ),
        2,
    )
    both = tb.sandwich(far, StandardNormal(2), **SHORT)
    assert both.lower.mean == pytest.approx(0.0, abs=1e-3)  # and not log 2
    assert both.upper.mean == pytest.approx(0.0, abs=1e-3)
    assert "both sides alike" in both.summary()
    # Exact draws hold both modes.
    exact = np.random.default_rng(0).standard_normal((8, 2)) + 40.0 * (np.arange(8) % 2)[:, None]
    given = tb.sandwich(far, StandardNormal(2), z=exact.astype(np.float32), **SHORT)
    assert given.upper.direction == "upper"
    assert given.upper.mean > np.log(2)
    assert given.stderr_gap > 0


@pytest.mark.slow
@pytest.mark.stat
def test_each_chain_of_a_target_may_have_its_own_draw():
    narrow = tb.Target(lambda z: -0.5 * jnp.sum((z - 1) ** 2) / 0.64, 2)
    truth = np.log(2 * np.pi * 0.64)
    exact = 1 + 0.8 * np.random.default_rng(1).standard_normal((2000, 2)).astype(np.float32)
    how = {"start": StandardNormal(2), "temperatures": 20, "leapfrog": 3}
    many = reverse_annealed(narrow, None, exact, chains=2000, **how)
    assert abs(many.log_evidence[0] - truth) < LIMIT * many.stderr[0] < 0.3
    one = reverse_annealed(narrow, None, exact[:1], chains=2000, **how)
    assert one.log_evidence.shape == (1,)
    with pytest.raises(UsageError, match="one or 2000"):
        reverse_annealed(narrow, None, exact[:3], chains=2000, **how)


@pytest.mark.slow
@pytest.mark.stat
def test_layers_missing_values_and_pixels():
    model = runs.parts_of(EXACT, 2).model
    x, z = pairs(20, model)
    x = np.where(np.arange(4) == 1, np.float32(np.nan), x)
    for given in ({"z": z}, {}):
        both = tb.sandwich(model, runs.parts_of(WRONG, 2).posterior, x=x, **given, **SHORT)
        assert abs(both.gap) < 0.5
    grey = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    pixels, _ = tb.autoencoder(grey, latent=2, hidden=(5,))
    both = tb.sandwich(pixels, x=grey, key=3, temperatures=60, chains=40, leapfrog=3)
    assert both.lower.binarisation == both.upper.binarisation == "one draw per item"
    # Both sides are of the same binary data: of others they would differ.
    assert np.max(np.abs(both.upper.log_evidence - both.lower.log_evidence)) < 0.15
    with pytest.raises(UsageError, match="binarize is for x without z"):
        tb.sandwich(pixels, x=grey.round(), z=np.zeros((6, 2), np.float32), binarize="threshold")


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.slow
@pytest.mark.parametrize("origin", ["drawn", "annealed"])
def test_it_goes_on_to_the_same_bits(origin, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "SECONDS", 0.0)
    how = {"temperatures": 4, "chains": 3, "leapfrog": 2, "batch_size": 2}
    how |= {"n": 6} if origin == "drawn" else {"x": pairs(6)[0]}
    path, whole, seen = tmp_path / "part.npz", tb.sandwich(MODEL, **how), []
    advance = Progress.advance

    def kill(self, note=""):
        seen.append(note)
        if len(seen) == 5:  # in the second half
            raise Killed
        advance(self, note)

    monkeypatch.setattr(Progress, "advance", kill)
    with pytest.raises(Killed):
        tb.sandwich(MODEL, resume=path, **how)
    assert sorted(of.name for of in tmp_path.iterdir()) == ["part.backwards.npz", "part.npz"]
    seen.clear()
    monkeypatch.setattr(Progress, "advance", lambda self, note="": seen.append(note))
    again = tb.sandwich(MODEL, resume=path, **how)
    assert len(seen) == 1 + 1  # the last batch of each half
    assert not [*tmp_path.iterdir()]
    np.testing.assert_array_equal(again.lower.log_evidence, whole.lower.log_evidence)
    np.testing.assert_array_equal(again.upper.log_evidence, whole.upper.log_evidence)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x, z: tb.sandwich(MODEL, z=z), "expected x with z"),
        (lambda x, z: tb.sandwich(MODEL, x=x, z=z[:2]), "expected 3 exact draws z"),
        (lambda x, z: tb.sandwich(MODEL, x=x, n=3), "n and observed are for data that the model"),
        (lambda x, z: tb.sandwich(MODEL, x=x, observed=x > 0), "n and observed are for data"),
        (lambda x, z: tb.sandwich(MODEL, n=3, binarize="dynamic"), "binarize is for x without z"),
        (lambda x, z: tb.sandwich(MODEL, x=x[:, :2]), "expected data of shape|columns"),
    ],
)
def test_wrong_use_is_refused(use, message):
    with pytest.raises(UsageError, match=message):
        use(*pairs(3))
