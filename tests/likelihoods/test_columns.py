"""Tables column by column: densities, holes, supports, evidence, and what a fit finds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from tests.cases import UNIFORM_TABLE, mixed_table, table_of
from tests.ztest import LIMIT

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.items import Datum
from tightbound.data.schema import Column, Schema
from tightbound.likelihoods import Columns
from tightbound.models.standardization import columns, seen_width

TABLE = mixed_table(UNIFORM_TABLE)
SIZES = {"latent": 2, "hidden": (4,), "key": 3}
MODEL, Q = tb.autoencoder(TABLE, likelihood="columns", **SIZES)
Z = jnp.array([0.7, -1.1])


def holed(data, share=0.3):
    hidden = np.random.default_rng(1).random(data.train.shape) < share
    x = np.where(hidden, np.float32(np.nan), data.train)
    return dataclasses.replace(data, train=x)


def test_each_kind_has_its_law():
    likelihood = MODEL.likelihood
    assert isinstance(likelihood, Columns)
    of_place = {p: type(law).__name__ for law, ps in zip(likelihood.laws, likelihood.places,
                strict=True) for p in ps}  # fmt: skip
    names = ("Gaussian", "LogNormal", "NegativeBinomial", "Categorical", "Ordinal", "Bernoulli",
             "Beta")  # fmt: skip
    assert [of_place[i] for i in range(7)] == [f"{name}Columns" for name in names]
    assert likelihood.names == TABLE.columns
    assert seen_width(MODEL) == 3 + 2 + 3 + 4  # numbers with the binary and bounded, then levels
    assert sorted(likelihood.level_probs(Z)) == [3, 4, 5]


def test_options_and_names_choose_others():
    model, _ = tb.autoencoder(TABLE, likelihood="columns(positive='gamma')", **SIZES)
    assert any(type(law).__name__ == "GammaColumns" for law in model.likelihood.laws)
    other = {"height": "student_t", "visits": "poisson", "share": "gaussian_fixed(scale=0.1)"}
    model, _ = tb.autoencoder(TABLE, likelihood=other, **SIZES)
    kinds = {type(law).__name__ for law in model.likelihood.laws}
    assert {"StudentTColumns", "PoissonColumns", "GaussianColumns"} <= kinds


@pytest.mark.parametrize(
    ("likelihood", "words"),
    [
        ({"heigth": "gamma"}, "a column of likelihood= to be one of .*; did you mean height"),
        ({"height": "gaussian_unit_mean"}, "column 'height': .* is for whole rows"),
        ({"height": "poisson"}, "row 0 .*column 'height' is .*, expected a whole number from 0"),
        ("columns(positive='gama')", "likelihood to be one of .*; did you mean gamma"),
        ("columns(pos='gamma')", "option of the likelihood columns to be one of"),
        ("dirichlet", "a law of all columns together"),
        ("normal", "did you mean gaussian"),
        ("poisson(3)", "options of poisson by name"),
    ],
)
def test_what_is_not_there_is_refused(likelihood, words):
    with pytest.raises(UsageError, match=words):
        tb.autoencoder(TABLE, likelihood=likelihood, **SIZES)


def test_columns_need_a_schema():
    for x, words in ((TABLE.train, "have no schema"), (TABLE.train, "an array without names")):
        likelihood = "columns" if "schema" in words else {"height": "gamma"}
        with pytest.raises(UsageError, match=words):
            tb.autoencoder(x, likelihood=likelihood, **SIZES)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        (0, np.inf, "column 'height' is inf, expected a finite number"),
        (1, 0.0, "column 'income' is 0.0, expected a positive number"),
        (2, 1.5, "column 'visits' is 1.5, expected a whole number from 0"),
        (3, 3.0, "column 'colour' is 3.0, expected .* from 0 to 2, the number of one of 3 levels"),
        (4, -1.0, "column 'grade' is -1.0, expected .* one of 4 levels"),
        (5, 0.5, "column 'member' is 0.5, expected 0 or 1"),
        (6, 1.1, r"column 'share' is 1.1\d*, expected a number from 0 to 1"),
    ],
)
def test_a_check_names_column_value_and_what_it_expects(column, value, words):
    x = TABLE.train[:4].copy()
    x[2, column] = value
    words = words if np.isfinite(value) else words.replace("'height'", "0 .*")
    with pytest.raises(UsageError, match=f"row 2.*{words}"):
        tb.source(MODEL, x)


def test_the_density_is_the_sum_of_the_columns_and_holes_count_nothing():
    likelihood = MODEL.likelihood
    observed = jnp.array([True, False, True, False, True, False, False])

    @jax.jit
    def of(x):
        # 0 stands where a value is missing, outside of some supports.
        given = jnp.where(observed, x, 0.0)
        known = jax.value_and_grad(lambda z: likelihood.log_prob_observed(given, observed, z))(Z)
        both = MODEL.log_likelihood(Datum(given, observed), Z)
        return likelihood.log_prob_each(x, Z), likelihood.log_prob(x, Z), known, both

    probs = jax.jit(lambda z: likelihood.level_probs(z))(Z)
    for row in TABLE.train[:5]:
        each, whole, (found, slope), both = of(jnp.asarray(row))
        assert each.shape == (7,)
        np.testing.assert_allclose(whole, np.sum(each), rtol=1e-6)
        for place in (3, 4, 5):
            own = float(probs[place][int(row[place])])
            np.testing.assert_allclose(each[place], np.log(own), rtol=1e-5)
        np.testing.assert_allclose(found, np.sum(np.asarray(each)[np.asarray(observed)]), rtol=1e-6)
        assert np.all(np.isfinite(slope))
        np.testing.assert_allclose(both, found, rtol=1e-6)


def one_latent(data):
    return tb.autoencoder(data, likelihood="columns", latent=1, hidden=(4,), key=5)


@pytest.mark.slow
def test_mixed_evidence_is_that_of_quadrature():
    data = holed(TABLE)
    model, q = one_latent(data)
    x = np.concatenate([TABLE.train[:6], data.train[:6]])
    # Gauss-Hermite by hand, in place of the library's own quadrature.
    nodes, weights = special.roots_hermitenorm(60)
    source = tb.source(model, x).items().data
    z = jnp.asarray(nodes, jnp.float32)[:, None]
    at = jax.jit(jax.vmap(lambda x: jax.vmap(lambda z: model.log_likelihood(x, z))(z)))(source)
    truth = special.logsumexp(np.asarray(at, np.float64), b=weights / np.sqrt(2 * np.pi), axis=1)
    exact = tb.evidence.exact(model, x)
    np.testing.assert_allclose(exact.log_evidence, truth, atol=2e-4)
    # False alarms 1e-6 for each of 12 data.
    found = tb.evaluate(model, q, x, k=4000, key=1)
    assert np.all(np.abs(found.log_evidence - truth) < LIMIT * found.stderr + found.rounding)


@pytest.mark.slow
def test_layers_holes_saving_and_a_fit(tmp_path):
    data = holed(TABLE)
    model, q = tb.autoencoder(
        data, likelihood="columns", latent=(2, 1), hidden=((4,), (3,)), layers=2
    )
    assert columns(model) is model.likelihood.conditional
    sizes = {"batch_size": 20, "epochs": 2}
    run = tb.fit(model, q, data.train, objective="iwae(k=3)", **sizes)
    assert np.all(np.isfinite(run.history[-1].train_bound))
    tb.save(tmp_path / "model.safetensors", run)
    loaded = tb.load(tmp_path / "model.safetensors")
    before, after = (
        tb.evaluate(r.model, r.posterior, data.train[:5], k=5, key=0).mean for r in (run, loaded)
    )
    assert before == after
    assert str(loaded.model.likelihood.support) == str(model.likelihood.support)
    assert loaded.model.likelihood.support.names == TABLE.columns


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["pc_adv()", "iwhvi(k=2)"])
def test_other_networks_see_the_features_too(objective):
    kind = "implicit" if objective == "pc_adv()" else "semi_implicit"
    q = tb.posterior(MODEL, kind, hidden=(4,), key=2)
    run = tb.fit(MODEL, q, TABLE.train, objective=objective, batch_size=20, epochs=1)
    assert np.all(np.isfinite(run.history[-1].train_bound))


@pytest.mark.slow
def test_a_flow_sees_the_features():
    q = tb.posterior(MODEL, "flow", hidden=(4,), key=2)
    found = tb.evaluate(MODEL, q, TABLE.train[:4], k=20, key=0)
    assert np.all(np.isfinite(found.log_evidence))


def test_many_zeros_are_said():
    rng = np.random.default_rng(2)
    counts = np.where(rng.random(200) < 0.6, 0, rng.poisson(6, 200)).astype(np.float32)
    plain = rng.poisson(6, 200).astype(np.float32)
    schema = Schema((Column("claims", "count"), Column("rooms", "count")))
    data = table_of(np.stack([counts, plain], axis=1), schema)
    likelihood = tb.autoencoder(data, likelihood="columns", **SIZES)[0].likelihood
    assert {type(law).__name__ for law in likelihood.laws} == {
        "ZeroInflated",
        "NegativeBinomialColumns",
    }
    (note,) = likelihood.notes
    assert "'claims' is zero-inflated: 57%" in note


@pytest.mark.slow
def test_a_fit_recovers_what_made_the_table():
    """One latent moves all columns: a fit's evidence on new rows is that of the truth."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=1500)
    x = np.stack([
        3 + 2 * z + rng.normal(size=1500),
        np.exp(0.5 * z + 0.3 * rng.normal(size=1500)),
        rng.poisson(np.exp(1 + 0.7 * z)),
        rng.random(1500) < special.expit(2 * z),
    ], axis=1).astype(np.float32)  # fmt: skip
    schema = Schema((Column("a", "real"), Column("b", "positive"), Column("c", "count"),
                     Column("d", "binary", levels=("no", "yes"))))  # fmt: skip
    data = table_of(x[:1000], schema)
    model, q = tb.autoencoder(data, likelihood="columns", latent=1, hidden=(16,), key=1)
    run = tb.fit(
        model, q, data.train, objective="iwae(k=5)", batch_size=50, epochs=60, optimizer="adam",
        key=2,
    )  # fmt: skip
    nodes, weights = special.roots_hermitenorm(80)
    new = x[1000:].astype(np.float64)
    at = nodes[None]
    rate = np.exp(1 + 0.7 * at)
    log_c = new[:, 2:3] * np.log(rate) - rate - special.gammaln(new[:, 2:3] + 1)
    log_b = np.log(new[:, 1:2])
    terms = (
        -0.5 * (new[:, :1] - 3 - 2 * at) ** 2 - 0.5 * np.log(2 * np.pi)
        - 0.5 * ((log_b - 0.5 * at) / 0.3) ** 2 - 0.5 * np.log(2 * np.pi * 0.09) - log_b
        + log_c + special.log_expit(np.where(new[:, 3:] > 0, 2 * at, -2 * at))
    )  # fmt: skip
    truth = special.logsumexp(terms, b=weights / np.sqrt(2 * np.pi), axis=1)
    found = tb.evidence.exact(run.model, x[1000:]).log_evidence
    # A fit to 1,000 rows loses about half its number of parameters over 1,000 nats; the rest of
    # the tolerance is for a fit of 60 epochs.
    assert -0.25 < np.mean(found - truth) < 0.1
    # The scale of "a" given z is 1, and of "b" 0.3 in the logarithm.
    laws = dict(zip(run.model.likelihood.places, run.model.likelihood.laws, strict=True))
    cut = dict(zip(run.model.likelihood.places, run.model.likelihood.free(jnp.zeros(1)),
                   strict=True))  # fmt: skip
    assert float(laws[0,].parameters(cut[0,])[1][0]) == pytest.approx(1.0, abs=0.25)
    assert float(laws[1,].parameters(cut[1,])[1][0]) == pytest.approx(0.3, abs=0.1)


def test_one_name_is_for_all_columns():
    x = np.random.default_rng(0).poisson(3, (40, 5)).astype(np.float32)
    model, _ = tb.autoencoder(x, likelihood="poisson", **SIZES)
    assert str(model.likelihood.support) == "count"
    with pytest.raises(UsageError, match="row 0, column 1 .* is 0.5, expected a whole number"):
        tb.source(model, np.where(np.eye(40, 5, 1) > 0, 0.5, x))
