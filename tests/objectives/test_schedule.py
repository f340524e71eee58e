"""Objectives that change over a run: stages, what early stopping makes of them, resuming."""

import numpy as np
import optax
import pytest

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.objectives import annealed, elbo, iwae, schedule
from tightbound.objectives.registry import parse

X = (np.random.default_rng(0).random((40, 6)) < 0.3).astype(np.float32)
SWITCH = schedule([(elbo(), 2), (iwae(5, "dreg"), 2)])


def fitted(objective, epochs, **options):
    model, posterior = tb.autoencoder(X, latent=2, hidden=(4,))
    settings = {"optimizer": optax.adam(1e-2), "batch_size": 10, "validation": X[:20]}
    return tb.fit(model, posterior, X, objective=objective, epochs=epochs, **(settings | options))


def train_bounds(run):
    return [record.train_bound[0] for record in run.history]


def leaves(run):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(run.replicas)]


@pytest.mark.slow
def test_stages_follow_each_other_and_the_first_is_what_it_is_alone():
    both, alone = fitted(SWITCH, 4), fitted(elbo(), 2)
    assert train_bounds(both)[:2] == train_bounds(alone)
    # The optimiser's state goes on: another run that starts with the second stage differs.
    assert [SWITCH.at(epoch).draws for epoch in range(6)] == [1, 1, 5, 5, 5, 5]
    assert both.objective == SWITCH.description


@pytest.mark.slow
def test_the_second_stage_starts_from_the_first(tmp_path):
    # The same numbers as two runs that share a folder, the second with both stages.
    whole = fitted(SWITCH, 4)
    for epochs in (1, 2, 3, 4):
        run = fitted(SWITCH, epochs, directory=tmp_path / "run", resume=epochs > 1)
    assert train_bounds(run) == train_bounds(whole)
    for one, other in zip(leaves(run), leaves(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_schedule_does_not_resume(tmp_path):
    fitted(SWITCH, 1, directory=tmp_path / "run")
    with pytest.raises(UsageError, match="objective"):
        fitted(schedule([(elbo(), 1)]), 2, directory=tmp_path / "run", resume=True)


@pytest.mark.slow
def test_early_stopping_starts_anew_with_a_stage():
    # The second stage reports a looser bound; compared with the first it would stop at once.
    down = schedule([(iwae(50), 2), (elbo(), 4)])
    assert len(fitted(down, 6, early_stopping=2).history) == 6
    # The best of the last stage is kept, not that of the first.
    alone = fitted(down, 6)
    kept = fitted(down, 6, early_stopping=5)
    for one, other in zip(leaves(alone), leaves(kept), strict=True):
        np.testing.assert_array_equal(one, other)


def test_kinds_that_differ_have_no_common_direction():
    assert SWITCH.kind == "lower"
    assert schedule([(elbo(), 1), (tb.objectives.jvi(5), 1)]).kind == "none"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "got none"),
        ([(elbo(), 0)], "expected epochs >= 1, got 0"),
        ([elbo()], "expected pairs"),
        ([("elbo", 3)], "expected pairs"),
    ],
)
def test_wrong_stages_are_refused(stages, message):
    with pytest.raises(UsageError, match=message):
        schedule(stages)


@pytest.mark.slow
def test_beta_rises_to_one_and_the_report_is_the_elbo():
    objective = annealed(epochs=4, start=0.2)
    np.testing.assert_allclose(
        [objective.at(epoch).beta for epoch in range(6)], [0.2, 0.4, 0.6, 0.8, 1.0, 1.0], rtol=1e-6
    )
    # From beta = 1 on the two are one.
    done, plain = fitted(annealed(epochs=1, start=1.0), 3), fitted(elbo(), 3)
    np.testing.assert_allclose(train_bounds(done), train_bounds(plain), rtol=1e-5)
    # With beta = 0 there is nothing that keeps q near the prior.
    free = fitted(annealed(epochs=1000), 20)
    kept = fitted(elbo(), 20)
    units = [tb.diagnostics.active_units(r.model, r.posterior, X)[0].variance for r in (free, kept)]
    assert units[0].sum() > 3 * units[1].sum()


@pytest.mark.parametrize(
    "call",
    [
        "iwae(k=5, gradient='doubly_reparameterized')",
        "piwae(m=8, k=4, gradient='vimco')",
        "vr(k=5, alpha=-inf, gradient='reparameterized')",
        "vr(k=5, alpha=-0.5, gradient='reparameterized')",
        "schedule([(elbo(estimator='B', samples=1), 3), (wake_sleep(samples=2), 4)])",
        "annealed(epochs=3, samples=1, start=0.5)",
        "combined(k=5, model='iwae', posterior='elbo', gradient='sticking_the_landing')",
        "rws(k=5, phi='both')",
    ],
)
def test_calls_are_read_back(call):
    assert parse(call).description == call


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("vr", "needs k, alpha"),
        ("iwae(k=5", "or a call such as"),
        ("iwae(k=open('x'))", "as a whole number, got open"),
        ("full_vb(open('x'), n=3)", "expected objective to be one of"),
        ("iwae(k=[].append)", "expected numbers"),
        ("iwae(**{'k': 5})", "expected numbers"),
        ("os.system('x')", "expected numbers"),
        ("ivae(k=5)", "got 'ivae'; did you mean iwae"),
        ("iwae(k=5, beta=1)", "but not beta"),
        ("elbo('A', 1, 'dreg', 4)", "and no more"),
        ("jvi(k=5, order=5)", "0 <= order < k"),
        ("jvi(k=500, order=3)", "too many to hold"),
        ("vr(k=5, alpha=-inf, gradient='dreg')", "no doubly reparameterised gradient exists"),
        ("jvi(k=5, gradient='dreg@2')", "can be negative"),
        ("piwae(2, 2, 'dreg@2')", "draws by the weights of one bound"),
        ("iwae(k=1, gradient='vimco')", "k >= 2"),
        ("rws(k=1)", "mean is zero"),
        ("elbo(gradient='wake')", "normalised weights"),
        ("ciwae(k=5, beta=1.5)", "beta between 0 and 1"),
    ],
)
def test_calls_that_make_no_sense_are_refused_in_words(call, message):
    with pytest.raises(UsageError, match=message):
        parse(call)
