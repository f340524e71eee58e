"""Every use of randomness has a stream of its own: by its name, and in whole runs."""

import ast
import collections
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import tightbound
import tightbound as tb
from tightbound.core import streams

SOURCE = Path(tightbound.__file__).parent
TREES = {path.relative_to(SOURCE): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def names():
    """All names of streams with the places that ask for them."""
    found = collections.defaultdict(list)
    for path, tree in TREES.items():
        for call in calls(tree):
            if getattr(call.func, "id", "") in ("stream", "streams", "each_stream"):
                given = [a.value for a in call.args if isinstance(a, ast.Constant)]
                assert path.name == "streams.py" or given, f"{path}:{call.lineno}: no name"
                for name in given:
                    found[name].append(f"{path}:{call.lineno}")
    return found


def test_every_name_stands_at_one_place_and_has_a_number_of_its_own():
    found = names()
    assert len(found) > 50
    assert [places for places in found.values() if len(places) > 1] == []
    assert len({streams.digest(name) for name in found}) == len(found)


def test_keys_are_split_and_folded_in_one_file_only():
    raw = [
        f"{path}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("split", "fold_in")
        if ast.unparse(node.value) in ("jax.random", "random", "jr")
        if path.name != "streams.py"
    ]
    assert raw == []


def test_names_and_numbers_never_meet():
    key = jax.random.key(0)
    named = [streams.stream(key, name) for name in names()]
    numbers = list(streams.first_keys(key, 1000))
    together = {tuple(np.asarray(jax.random.key_data(k)).tolist()) for k in named + numbers}
    assert len(together) == len(named) + len(numbers)
    assert all(streams.digest(name) >= 2**31 for name in names())


@pytest.fixture
def streams_of_a_run(monkeypatch):
    """The places in the source that made each key, whatever compiled programs they stand in."""
    made = collections.defaultdict(set)
    fold_in = jax.random.fold_in

    def place():
        frame = sys._getframe(2)
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if SOURCE in path.parents and path.name != "streams.py":
                return f"{path.relative_to(SOURCE)}:{frame.f_lineno}"
            frame = frame.f_back
        return "a test"

    def recorded(key, number):
        child, where = fold_in(key, number), place()

        def tell(data, numbers):
            numbers = np.broadcast_to(numbers, data.shape[:-1])
            pairs = zip(data.reshape(-1, 2).tolist(), numbers.ravel().tolist(), strict=True)
            for child, number in pairs:
                made[tuple(child)].add((where, number))
            return np.asarray(data)

        # In the way of the numbers, so that no compiler leaves it out.
        data = jax.random.key_data(child)
        number = jax.numpy.broadcast_to(jax.numpy.asarray(number).astype("uint32"), child.shape)
        told = jax.pure_callback(
            tell,
            jax.ShapeDtypeStruct(data.shape, data.dtype),
            data,
            number,
            vmap_method="expand_dims",
        )
        return jax.random.wrap_key_data(told)

    jax.clear_caches()
    monkeypatch.setattr(jax.random, "fold_in", recorded)
    yield made
    monkeypatch.undo()
    jax.clear_caches()  # what was compiled here would go on telling


OBJECTIVES = {
    "iwae": ("normal", tb.objectives.iwae(k=3, gradient="dreg@2")),
    "wake_sleep": ("normal", tb.objectives.wake_sleep()),
    "mcem": ("normal", tb.objectives.mcem(leapfrog=2, transitions=2)),
    "iwhvi": ("semi_implicit", tb.objectives.iwhvi(k=2)),
    "uivi": ("semi_implicit", tb.objectives.uivi(burn_in=1, transitions=1, leapfrog=1, k=2)),
    "jc_adv": ("implicit", tb.objectives.jc_adv(inner=2)),
    "pc_den": ("implicit", tb.objectives.pc_den(inner=2, prior="denoiser")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_two_streams_of_a_run_are_equal(name, streams_of_a_run):
    kind, objective = OBJECTIVES[name]
    x = np.random.default_rng(0).uniform(size=(12, 6)).astype(np.float32)
    likelihood = "gaussian" if name == "uivi" else "bernoulli"
    model, q = tb.autoencoder(
        x, latent=2, hidden=(4,), posterior=kind, likelihood=likelihood, key=0
    )
    run = tb.fit(
        model,
        q,
        x,
        objective=objective,
        optimizer=optax.sgd(1e-3),
        batch_size=4,
        epochs=2,
        seeds=2,
        validation=x[:5],
        binarize="auto",
        key=0,
    )
    tb.evaluate(run.model, run.posterior, x, k=4, temperatures=3, chains=2, key=0)
    tb.diagnostics.active_units(run.model, run.posterior, x, key=0)
    assert len(streams_of_a_run) > 200
    # The same key may be made again at the same place from the same number: a pass that is
    # repeated. From another place, or for another number, it is another stream's.
    shared = [sorted(places) for places in streams_of_a_run.values() if len(places) > 1]
    assert shared == []
