import functools
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import once

import tightbound as tb
from tightbound.core.digests.arrays import read_arrays, write_arrays
from tightbound.distributions import FamilyPrior
from tightbound.objectives import Params
from tightbound.training.fit import Run
from tightbound.training.history import EpochRecord, History
from tightbound.training.saving import run_from_bytes, run_to_bytes
from tightbound.training.state import reinitialised
from tightbound.training.structure import differences

GREY = np.random.default_rng(0).random((5, 4)).astype(np.float32)


class Own(eqx.Module):
    """A user's network with a trained array, arrays that are not, and a plain field."""

    weight: jax.Array
    offset: np.ndarray
    table: jax.Array
    slope: float = 0.5

    def __call__(self, x):
        shift = jnp.astype(self.table.sum(), jnp.float32)
        return jnp.tanh(self.slope * x @ self.weight + self.offset) + shift


def own(seed, width=3):
    weight = jax.random.normal(jax.random.key(seed), (4, width))
    return Own(weight, np.full(width, 0.25 * seed, np.float32), jnp.arange(3) + seed)


def run_of(parts, n_replicas, *, validated=True):
    """A run as `fit` returns it, without training."""
    replicas = [reinitialised(parts, jax.random.key(i)) if i else parts for i in range(n_replicas)]
    bounds = [1 / 3 - i for i in range(n_replicas)]
    history = History(
        EpochRecord(e, 7 * e, bounds, [b + e for b in bounds] if validated else None, 0.1 * e)
        for e in (1, 2)
    )
    return Run(
        replicas[0].model, replicas[0].posterior, history, replicas, "iwae(k=3)", "none", 2, 0.125
    )


MODELS = {
    "bernoulli": {"latent": 2, "hidden": (3, 4)},
    "no hidden layers": {"latent": 2, "hidden": ()},
    "two layers": {"latent": 2, "hidden": (4,), "layers": 2, "activation": "relu"},
    "gaussian": {"latent": 3, "hidden": (4,), "likelihood": "gaussian"},
    "two layers, bounded means": {
        "latent": (3, 2),
        "hidden": ((4, 3), (2,)),
        "layers": 2,
        "likelihood": "gaussian_unit_mean",
    },
    "gamma latents": {"latent": 2, "hidden": (3,), "posterior": "gamma"},
    "Erlang latents": {"latent": 2, "hidden": (3,), "posterior": "erlang:3", "prior": "weibull"},
    "two layers of t": {"latent": 2, "hidden": (4,), "layers": 2, "posterior": "student_t"},
    "binary latents": {"latent": 2, "hidden": (3,), "posterior": "bernoulli"},
}


@pytest.mark.parametrize("n_replicas", [1, 3])
@pytest.mark.parametrize("model", MODELS)
def test_a_saved_run_comes_back_to_the_last_bit(model, n_replicas, tmp_path, same_bits):
    run = run_of(
        Params(*tb.autoencoder(GREY, **MODELS[model])), n_replicas, validated=n_replicas > 1
    )
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    same_bits(loaded.replicas, run.replicas)
    same_bits((loaded.model, loaded.posterior), tuple(run.replicas[0]))
    assert isinstance(loaded.history, History)
    for name in ("history", "objective", "binarisation", "epochs_run", "seconds_checkpoints"):
        assert getattr(loaded, name) == getattr(run, name)
    assert all(isinstance(record, EpochRecord) for record in loaded.history)


def test_a_loaded_model_has_the_same_bounds(tmp_path):
    run = run_of(Params(*tb.autoencoder(GREY, **MODELS["two layers"])), 2)
    tb.save(str(tmp_path / "run.safetensors"), run)
    loaded = tb.load(str(tmp_path / "run.safetensors"))
    bound = eqx.filter_jit(functools.partial(once.bound, tb.objectives.iwae(k=3)))
    keys, x = jax.random.split(jax.random.key(1), 5), jnp.round(GREY)
    for before, after in zip(run.replicas, loaded.replicas, strict=True):
        np.testing.assert_array_equal(bound(before, x, keys), bound(after, x, keys))
    first, second = (bound(parts, x, keys) for parts in run.replicas)
    assert not np.array_equal(first, second)


def test_a_learned_prior_comes_back(tmp_path, same_bits):
    model, posterior = tb.autoencoder(GREY, posterior="log_normal", latent=2, hidden=(3,))
    learned = FamilyPrior.learned(2, "gamma")
    learned = eqx.tree_at(lambda p: p.free[1], learned, jnp.asarray([0.5, -1.0]))
    run = run_of(Params(eqx.tree_at(lambda m: m.prior, model, learned), posterior), 1)
    tb.save(tmp_path / "run.safetensors", run)
    loaded = tb.load(tmp_path / "run.safetensors")
    same_bits(loaded.model, run.model)
    z = jnp.asarray([0.5, 2.0])
    assert loaded.model.prior.log_prob(z, None) == run.model.prior.log_prob(z, None)
    assert loaded.model.prior.log_prob(z, None) != model.prior.log_prob(z, None)


def test_own_networks_come_back_into_like(tmp_path, same_bits):
    sizes = {"latent": 2, "hidden": (3,)}
    run = run_of(Params(*tb.autoencoder(GREY, encoder=own(1), **sizes)), 1)
    path = tmp_path / "run.safetensors"
    tb.save(path, run)
    with pytest.raises(tb.UsageError, match=r"of your own \(.*Own\): .* pass trust=.* like=\(m"):
        tb.load(path)
    other = tb.autoencoder(GREY, encoder=own(2), key=5, **sizes)
    same_bits(tb.load(path, like=other).replicas, run.replicas)
    function = tb.autoencoder(GREY, encoder=jnp.tanh, **sizes)
    with pytest.raises(tb.UsageError, match=r"trunk.weight is unknown"):
        tb.load(path, like=function)


def test_all_differences_from_like_are_listed(tmp_path):
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    like = tb.autoencoder(GREY[:, :3], latent=1, hidden=(3,), activation="relu")
    with pytest.raises(tb.UsageError) as error:
        tb.load(path, like=like)
    message = str(error.value)
    assert message.startswith(f"{path} does not fit `like`: ")
    assert "\n" not in message
    differing = {part.split(" ")[0] for part in message.split("`like`: ")[1].split("; ")}
    assert differing == {
        "model.prior.dim",
        "model.likelihood.trunk.activation",
        "posterior.trunk.activation",
        "[0].model.likelihood.trunk.layers[0].weight",
        "[0].model.likelihood.logits.weight",
        "[0].model.likelihood.logits.bias",
        "[0].posterior.trunk.layers[0].weight",
        "[0].posterior.location.weight",
        "[0].posterior.location.bias",
        "[0].posterior.log_scale.weight",
        "[0].posterior.log_scale.bias",
    }


def doctor(path, change, *entries):
    """Changes an entry of the metadata in a saved file, and its SHA-256 with it."""
    arrays, metadata = read_arrays(path, "saved run")
    place = metadata
    for name in entries:
        place = place[name]
    change(place)
    write_arrays(path, "saved run", arrays, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p[0].update({"class": "Popen"}), "this version does not know: .*Popen"),
        (lambda p: p[0].update({"class": "os.system"}), "this version does not know: .*os.system"),
        (lambda p: p[0]["fields"].update(prior={"call": "exit"}), "does not know: .*exit"),
        (lambda p: p[0]["fields"].update(more={"value": 1}), "structure that does not fit: "),
        (lambda p: p[0]["fields"].pop("prior"), "structure that does not fit: "),
        (
            lambda p: p[1]["fields"]["trunk"]["fields"].update(activation={"value": "eval"}),
            "expected activation to be one of .*, got 'eval'",
        ),
        (lambda p: p[1]["fields"].update(trunk={"own": "os.system"}), r"your own \(os.system\)"),
        (lambda p: p[1]["fields"]["location"].update({"class": "Bernoulli"}), "does not fit: "),
        (lambda p: p.pop(), "this version does not know"),
    ],
)
def test_doctored_descriptions_are_refused(change, words, tmp_path):
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    doctor(path, change, "structure", "parts")
    with pytest.raises(tb.UsageError, match=words):
        tb.load(path)


@pytest.mark.parametrize("shape", [[10**12], [10**9] * 3, [-1], [1.5], ["a"], 3, [[1]]])
def test_nothing_is_allocated_for_arrays_that_are_not_there(shape, tmp_path):
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    layer = ("structure", "parts", 0, "fields", "likelihood", "fields", "logits", "fields")
    doctor(path, lambda fields: fields.update(bias={"array": [shape, "float32"]}), *layer)
    with pytest.raises(tb.UsageError, match="structure that does not fit") as error:
        tb.load(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"structure": None},
        {"structure": {"tuple": []}},
        {"replicas": 10**9},
        {"replicas": -1},
        {"replicas": True},
        {"history": [3]},
        {"history": [{"epoch": 1}]},
        {"history": [{"epoch": 1, "step": 1, "train_bound": ["x"], "seconds": 1.0}]},
        {"objective": 3},
        {"binarisation": None},
        {"epochs_run": "2"},
        {"seconds_checkpoints": []},
    ],
)
def test_metadata_of_other_types_are_refused_in_one_line(change, tmp_path):
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    doctor(path, lambda metadata: metadata.update(change))
    with pytest.raises(tb.UsageError, match="run.safetensors") as error:
        tb.load(path)
    assert "\n" not in str(error.value)


def test_bounds_that_are_not_finite_come_back(tmp_path):
    run = run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1)
    record = run.history[0]._replace(validation_bound=[-np.inf], info={"ess": [np.nan]})
    tb.save(tmp_path / "run.safetensors", run._replace(history=History([record])))
    assert repr(tb.load(tmp_path / "run.safetensors").history) == repr([record])


def test_a_class_of_ones_own_with_a_known_name_is_ones_own(tmp_path):
    impostor = type("MLP", (Own,), {"__module__": __name__})
    network = impostor(jnp.ones((4, 3)), np.zeros(3, np.float32), jnp.arange(2))
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, encoder=network)), 1))
    with pytest.raises(tb.UsageError, match="something of your own"):
        tb.load(path)


def test_nothing_is_pickled(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("pickle was used")

    for name in ("dump", "dumps", "load", "loads", "Pickler", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    path = tmp_path / "run.safetensors"
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    tb.load(path)
    path.write_bytes(b"\x80\x04N.")  # a pickle of None
    with pytest.raises(tb.UsageError, match="not a whole tightbound file"):
        tb.load(path)


def test_missing_and_truncated_files_are_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    with pytest.raises(tb.UsageError, match="expected a saved run at .*, found no file"):
        tb.load(path)
    tb.save(path, run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 1))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(tb.UsageError, match="is not a whole tightbound file"):
        tb.load(path)


def test_differences_are_found_on_both_sides():
    saved, now = {"same": 1, "gone": 2, "other": "a"}, {"same": 1, "other": "b", "new": None}
    assert differences(saved, now) == [
        "other was a, is b",
        "new was absent, is None",
        "gone was 2, is absent",
    ]
    assert differences(saved, saved) == []


def test_bytes_are_those_of_the_file(tmp_path):
    run = run_of(Params(*tb.autoencoder(GREY, latent=2, hidden=(3,))), 2)
    tb.save(tmp_path / "run.safetensors", run)
    content = run_to_bytes(run)
    assert (tmp_path / "run.safetensors").read_bytes() == content
    again = run_from_bytes(content, "the bytes")
    assert eqx.tree_equal(again.replicas, run.replicas)
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(tb.UsageError, match="the bytes is not a whole tightbound file"):
        run_from_bytes(damaged, "the bytes")
