"""Networks of one's own come back by import paths, with consent, and nothing else is imported."""

import copy
import importlib
import random
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.training.test_saving import run_of

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.core.supports import UNIT, Support
from tightbound.distributions import from_functions
from tightbound.networks import Whole
from tightbound.objectives import Params
from tightbound.training.imports import TRUST, ours
from tightbound.training.structure import describe, differences, fixed, rebuild

HERE = __name__
GREY = np.random.default_rng(0).random((10, 16)).astype(np.float32)


def wave(x):
    return jnp.sin(3.0 * x)


class Convolutional(eqx.Module):
    """Images of 4 x 4 from a vector, with fields of all kinds."""

    spread: eqx.nn.Linear
    layers: eqx.nn.Sequential
    bend: object
    shift: jax.Array
    sizes: tuple = eqx.field(static=True)
    scales: dict
    limit: float = float("inf")

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.spread = eqx.nn.Linear(2, 2 * 4, key=first)
        up = eqx.nn.ConvTranspose2d(2, 1, 2, stride=2, key=second)
        self.layers = eqx.nn.Sequential([eqx.nn.Lambda(jax.nn.relu), up])
        self.bend, self.shift = wave, jnp.arange(16.0).reshape(4, 4) / 16
        self.sizes, self.scales = (2, 2, 2), {"out": 0.5}

    def __call__(self, z):
        image = self.layers(self.bend(self.spread(z)).reshape(self.sizes))[0]
        return jnp.clip(self.scales["out"] * image + self.shift, -self.limit, self.limit)


def build(key):
    encoder_key, decoder_key, rest = jax.random.split(key, 3)
    encoder = eqx.nn.MLP(16, 5, 4, 1, jnp.tanh, key=encoder_key)
    decoder = Whole(Convolutional(decoder_key))
    return tb.autoencoder(GREY, latent=2, hidden=(3,), encoder=encoder, decoder=decoder, key=rest)


def saved(path, parts):
    tb.save(path, run_of(parts, 1))
    return path


@pytest.mark.slow
def test_a_run_of_three_networks_is_rebuilt_with_consent(tmp_path, same_bits, monkeypatch):
    model, posterior = build(jax.random.key(0))
    run = tb.fit(
        model,
        posterior,
        GREY,
        objective=tb.objectives.elbo(),
        optimizer=optax.sgd(1e-3),
        batch_size=5,
        epochs=1,
        seeds=3,
        build=build,
    )
    path = tmp_path / "run.safetensors"
    tb.save(path, run)
    for trust in ((), ("tests.training.test_rebuil",), ("other", "test_rebuild")):
        with pytest.raises(UsageError, match=rf"trust=\('{HERE}',\) or set {TRUST}={HERE}; or"):
            tb.load(path, trust=trust)
    loaded = tb.load(path, trust=HERE)
    same_bits(loaded.replicas, run.replicas)
    assert [describe(parts) for parts in loaded.replicas] == [describe(run.replicas[0])] * 3
    decoders = [parts.model.likelihood.trunk.network for parts in loaded.replicas]
    assert decoders[0].bend is wave
    assert decoders[0].limit == np.inf
    z = jnp.asarray([0.3, -1.0])
    for decoder, parts in zip(decoders, run.replicas, strict=True):
        np.testing.assert_array_equal(decoder(z), parts.model.likelihood.trunk.network(z))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        for get in (lambda d: d.spread.weight, lambda d: d.layers.layers[1].weight):
            assert float(jnp.abs(get(decoders[i]) - get(decoders[j])).min()) > 0
    # A package stands for all that is in it, here or in the environment.
    same_bits(tb.load(path, trust=["tests"]).replicas, run.replicas)
    monkeypatch.setenv(TRUST, "another, tests.training")
    same_bits(tb.load(path).replicas, run.replicas)


def test_layers_of_equinox_and_functions_of_jax_need_no_consent(tmp_path, same_bits):
    encoder = eqx.nn.Sequential(
        [
            eqx.nn.Linear(16, 4, key=jax.random.key(0)),
            eqx.nn.LayerNorm(4),
            eqx.nn.Lambda(jax.nn.gelu),
            eqx.nn.MLP(4, 3, 5, 2, jax.nn.silu, key=jax.random.key(1)),
        ]
    )
    parts = Params(*tb.autoencoder(GREY, latent=2, hidden=(3,), encoder=encoder, decoder=jnp.tanh))
    loaded = tb.load(saved(tmp_path / "run.safetensors", parts))
    same_bits(loaded.replicas, [parts])
    x = jnp.asarray(GREY[0])
    np.testing.assert_array_equal(loaded.posterior.mean(x), parts.posterior.mean(x))
    assert loaded.model.likelihood.trunk is jnp.tanh


def test_what_no_path_leads_to_needs_like(tmp_path, same_bits):
    class Local(Convolutional):
        pass

    for decoder in (Local(jax.random.key(0)), Whole(lambda z: jnp.zeros(16) + z[0])):
        whole = decoder if isinstance(decoder, Whole) else Whole(decoder)
        parts = Params(*tb.autoencoder(GREY, latent=2, hidden=(3,), decoder=whole))
        path = saved(tmp_path / "run.safetensors", parts)
        with pytest.raises(UsageError, match=r"no import path leads to, .*: pass like=\(model,"):
            tb.load(path, trust="tests")
        same_bits(tb.load(path, like=tuple(parts)).replicas, [parts])


def test_a_support_of_ones_own_is_not_taken_for_its_name(tmp_path, same_bits):
    even = Support("even", "an even number", lambda x: x % 2 == 0)
    of = {s: from_functions(log_prob=wave, mean=wave, support=s) for s in (even, UNIT)}
    model, _ = tb.autoencoder(GREY, latent=1, hidden=(3,))
    for support, likelihood in of.items():
        parts = Params(eqx.tree_at(lambda m: m.likelihood, model, likelihood), None)
        path = saved(tmp_path / "run.safetensors", parts)
        if support is even:
            with pytest.raises(UsageError, match=r"the support 'even'.*: pass like=\(model,"):
                tb.load(path, trust=HERE)
        how = {"like": tuple(parts)} if support is even else {"trust": HERE}
        loaded = tb.load(path, **how)
        assert loaded.model.likelihood.support == support
        same_bits(loaded.replicas, [parts])


def test_code_that_has_changed_is_refused(tmp_path, monkeypatch):
    parts = Params(*build(jax.random.key(0)))
    path = saved(tmp_path / "run.safetensors", parts)
    other = type(
        "Convolutional", (eqx.Module,), {"__module__": HERE, "__annotations__": {"a": int}}
    )
    here = sys.modules[HERE]
    monkeypatch.setattr(here, "Convolutional", other)
    with pytest.raises(UsageError, match=r"code that was saved, pass like=.*: fields a for bend, "):
        tb.load(path, trust=HERE)
    monkeypatch.undo()
    monkeypatch.setattr(Convolutional, "limit", 3.0)
    with pytest.raises(UsageError, match=r"not the code that was saved, .*: other defaults"):
        tb.load(path, trust=HERE)
    monkeypatch.delattr(here, "Convolutional")
    with pytest.raises(UsageError, match="defines no class of Equinox modules 'Convolutional'"):
        tb.load(path, trust=HERE)
    monkeypatch.setitem(sys.modules, HERE, None)
    with pytest.raises(UsageError, match=f"importing {HERE} fails: ModuleNotFoundError"):
        tb.load(path, trust=HERE)


@pytest.mark.parametrize("trust", ["", "a-b", "a..b", "os.system()", ["ok", "-"]])
def test_names_of_modules_alone_are_trusted(trust, tmp_path):
    with pytest.raises(UsageError, match="expected modules to trust by name"):
        tb.load(tmp_path / "run.safetensors", trust=trust)


def test_static_values_and_functions_are_compared_with_like():
    one = Params(*build(jax.random.key(0)))
    decoder = lambda parts: parts.model.likelihood.trunk.network  # noqa: E731
    scaled = eqx.tree_at(lambda p: decoder(p).scales["out"], one, 0.25)
    bent = eqx.tree_at(lambda p: decoder(p).layers.layers[0].fn, one, jax.nn.elu)
    saved = fixed(describe(one))
    place = "model.likelihood.trunk.network"
    assert differences(saved, fixed(describe(one))) == []
    assert differences(saved, fixed(describe(scaled))) == [
        f"{place}.scales['out'] was 0.5, is 0.25"
    ]
    assert differences(saved, fixed(describe(bent))) == [
        f"{place}.layers.layers[0].fn was jax.nn.relu, is jax.nn.elu"
    ]
    # Of a network that was saved without its fields, nothing is known to differ.
    shut = {name: value for name, value in saved.items() if not name.startswith(f"{place}.")}
    assert differences(shut, saved) == differences(saved, shut) == []


def test_classes_of_ours_have_names_of_their_own():
    assert {"Whole", "Piece", "Bernoulli", "Model", "Bayesian", "CouplingFlow"} <= set(ours())
    for name, kind in ours().items():
        assert kind.__module__.startswith("tightbound."), name
        twins = [
            module
            for module in sys.modules.values()
            if getattr(module, "__name__", "").startswith("tightbound.")
            and vars(module).get(name) not in (None, kind)
            and isinstance(vars(module)[name], type)
        ]
        assert twins == [], name


HOSTILE = [
    {"module": ["os", "system"], "fields": {}, "defaults": []},
    {"module": ["os", "_Environ"], "fields": {"data": {"value": 1}}},
    {"function": ["os", "system"]},
    {"function": ["builtins", "eval"]},
    {"function": ["jax.numpy", "load"]},
    {"function": ["jax.numpy", "os"]},
    {"function": ["jax.nn", "os.system"]},
    {"function": ["jax.nn", "initializers"]},
    {"function": ["equinox.nn", "__builtins__"]},
    {"module": ["equinox.nn", "__loader__"], "fields": {}, "defaults": []},
    {"module": ["equinox.nn", "np"], "fields": {}, "defaults": []},
    {"module": ["equinox", "Module"], "fields": {}, "defaults": []},
    {"function": ["tightbound.core.files", "write_atomic"]},
    {"class": "Popen", "fields": {}, "defaults": []},
    {"class": ["Model"], "fields": {}, "defaults": []},
    {"module": "os.system", "fields": {}, "defaults": []},
    {"module": ["this"], "fields": {}, "defaults": []},
    {"function": ["this", "c", "d"]},
    {"function": {"this": "that"}},
    {"value": {"function": ["os", "system"]}},
    {"float": "1e5"},
]
# With consent for this very module: what it has imported is still not its own.
FROM_HERE = [
    {"function": [HERE, name]} for name in ("sys", "random", "build.__globals__", "Convolutional")
] + [
    {"module": [HERE, name], "fields": {}, "defaults": []}
    for name in ("wave", "Whole", "Parts", "UsageError", "importlib", "__builtins__", "")
]


@pytest.mark.parametrize("node", [*HOSTILE, *FROM_HERE], ids=str)
def test_a_hostile_description_imports_and_calls_nothing(node, monkeypatch):
    imported = []
    real = importlib.import_module
    monkeypatch.setattr(
        importlib, "import_module", lambda name, *rest: imported.append(name) or real(name, *rest)
    )
    trust = (HERE,) if node in FROM_HERE else ("elsewhere",)
    ours()  # which imports our own modules
    imported.clear()
    with pytest.raises(UsageError) as error:
        rebuild({"tuple": [node]}, "the file", set(), trust)
    assert str(error.value).startswith("the file")
    assert "\n" not in str(error.value)
    assert set(imported) <= set(trust)


def nodes(tree):
    """All places in a description, as (container, key)."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, dict | list):
            yield from nodes(value)


def test_random_damage_to_a_description_ends_in_words(monkeypatch):
    """Five hundred damaged descriptions: an error in one line, or parts; nothing is imported."""
    layers = [eqx.nn.Linear(16, 4, key=jax.random.key(0)), eqx.nn.Lambda(jax.nn.relu)]
    own = eqx.nn.Sequential(layers)
    parts = Params(*tb.autoencoder(GREY, latent=2, hidden=(3,), encoder=own, decoder=own.layers[1]))
    whole = describe(parts)
    shapes = {leaf.shape for leaf in jax.tree.leaves(parts) if eqx.is_array(leaf)}
    generator = random.Random(1)
    junk = [*HOSTILE, None, "os", "system", -1, 1e300, [], {}, [[]], True, HERE, "__class__"]
    imported = []
    monkeypatch.setattr("tightbound.training.imports.importlib.import_module", imported.append)
    said = []
    for _ in range(500):
        damaged = copy.deepcopy(whole)
        for _ in range(generator.randint(1, 3)):
            place, key = generator.choice(list(nodes(damaged)))
            place[key] = copy.deepcopy(generator.choice(junk))
        try:
            rebuild(damaged, "the file", shapes, ())
        except UsageError as error:
            said.append(str(error))
    assert 400 < len(said) < 500
    assert [words for words in said if "\n" in words or not words.startswith("the file")] == []
    assert imported == []
