"""Dense networks from PyTorch's names and layout; where PyTorch is installed, against it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tightbound as tb
from tightbound.core.errors import UsageError
from tightbound.networks import ACTIVATIONS, dense_from_state_dict, mlp_from_state_dict

RNG = np.random.default_rng(4)
SHAPES = {"enc.0": (5, 3), "enc.2": (4, 5), "mu": (2, 4)}


def state(**changes):
    """PyTorch's layout: weight (out, in), bias (out,); a change to None takes the array out."""
    arrays = {}
    for layer, shape in SHAPES.items():
        arrays[f"{layer}.weight"] = RNG.standard_normal(shape).astype(np.float32)
        arrays[f"{layer}.bias"] = RNG.standard_normal(shape[0]).astype(np.float32)
    arrays |= {name.replace("__", "."): array for name, array in changes.items()}
    return {name: array for name, array in arrays.items() if array is not None}


def test_layers_are_their_formula():
    arrays = state() | {"steps": np.array(3)}
    arrays["mu.weight"] = arrays["mu.weight"].astype(np.float64)
    trunk = mlp_from_state_dict(arrays, ["enc.0", "enc.2"], activation="relu")
    head = dense_from_state_dict(arrays, "mu")
    assert head.weight.dtype == trunk.layers[0].weight.dtype == jnp.float32
    x = RNG.standard_normal(3).astype(np.float32)
    h = x
    for layer in ("enc.0", "enc.2"):
        h = np.maximum(arrays[f"{layer}.weight"] @ h + arrays[f"{layer}.bias"], 0)
    np.testing.assert_allclose(trunk(jnp.asarray(x)), h, rtol=1e-5)
    truth = arrays["mu.weight"] @ h + arrays["mu.bias"]
    np.testing.assert_allclose(head(trunk(jnp.asarray(x))), truth, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "layers", "message"),
    [
        (
            {"enc__2__weight": None},
            ["enc.0", "enc.2"],
            r"an array 'enc.2.weight', got enc.0.weight, enc.0.bias, enc.2.bias, mu.weight, mu.b",
        ),
        ({"mu__bias": None}, ["mu"], "'mu.bias', got .*; a layer without a bias needs zeros"),
        ({}, ["mu", "enc.0"], r"enc.0.weight of shape \(5, 2\) after mu .* got \(5, 3\)"),
        ({"mu__weight": np.ones((2, 4, 1, 1))}, ["mu"], r"a dense layer, got \(2, 4, 1, 1\)"),
        (
            {"mu__bias": np.ones(3)},
            ["mu"],
            r"mu.bias of shape \(2,\) for .* = \(2, 4\), got \(3,\)",
        ),
        ({"mu__bias": np.ones(4)}, ["mu"], r"seems to be \(in, out\): transpose it\), got \(4,\)"),
        ({"mu__bias": np.array([1.0, np.nan])}, ["mu"], "finite numbers in mu.bias, got 1 others"),
        ({"mu__bias": np.array([1, 2])}, ["mu"], "mu.bias of a floating-point type, got int64"),
        ({}, [], r"a sequence of names of layers, got \[\]"),
        ({}, "mu", "a sequence of names of layers, got 'mu'"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(changes, layers, message):
    with pytest.raises(UsageError, match=message):
        mlp_from_state_dict(state(**changes), layers)


def test_an_unknown_activation_and_no_arrays_are_refused():
    with pytest.raises(UsageError, match="expected activation to be one of tanh, .* got 'swish'"):
        mlp_from_state_dict(state(), ["mu"], activation="swish")
    with pytest.raises(UsageError, match="'mu.weight', got no arrays at all"):
        dense_from_state_dict({}, "mu")


def torch_or_skip():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed here")


def test_activations_are_those_of_torch():
    torch = torch_or_skip()
    theirs = {
        "tanh": torch.nn.Tanh(),
        "relu": torch.nn.ReLU(),
        "elu": torch.nn.ELU(),
        "gelu": torch.nn.GELU(approximate="tanh"),
        "silu": torch.nn.SiLU(),
        "leaky_relu": torch.nn.LeakyReLU(),
        "softplus": torch.nn.Softplus(),
    }
    assert set(theirs) == set(ACTIVATIONS)
    x = np.linspace(-30, 30, 301, dtype=np.float32)
    for name, activation in theirs.items():
        expected = activation(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(ACTIVATIONS[name](x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ["Tanh", "ReLU"])
def test_a_model_trained_in_torch_has_the_same_log_joint(tmp_path, activation):
    torch = torch_or_skip()
    from safetensors.torch import save_file

    torch.manual_seed(0)
    act = getattr(torch.nn, activation)

    class VAE(torch.nn.Module):
        def __init__(self):
            super().__init__()
            linear = torch.nn.Linear
            self.encoder = torch.nn.Sequential(linear(64, 30), act(), linear(30, 20), act())
            self.mu, self.log_var = linear(20, 5), linear(20, 5)
            self.decoder = torch.nn.Sequential(linear(5, 20), act(), linear(20, 30), act())
            self.logits = linear(30, 64)

    vae = VAE()
    x = (torch.rand(40, 64) < 0.3).float()
    optimizer = torch.optim.Adam(vae.parameters(), 3e-3)
    normal, bernoulli = torch.distributions.Normal, torch.distributions.Bernoulli

    def densities(z):
        h = vae.encoder(x)
        q = normal(vae.mu(h), torch.exp(0.5 * vae.log_var(h)))
        z = q.rsample() if z is None else z
        log_p = normal(0.0, 1.0).log_prob(z).sum(-1)
        log_p = log_p + bernoulli(logits=vae.logits(vae.decoder(z))).log_prob(x).sum(-1)
        return log_p, q.log_prob(z).sum(-1)

    for _ in range(30):
        log_p, log_q = densities(None)
        optimizer.zero_grad()
        (log_q - log_p).mean().backward()
        optimizer.step()
    save_file(vae.state_dict(), tmp_path / "vae.safetensors")

    arrays = tb.data.load_arrays(tmp_path / "vae.safetensors")
    options = {"activation": activation.lower()}
    encoder = mlp_from_state_dict(arrays, ["encoder.0", "encoder.2"], **options)
    decoder = mlp_from_state_dict(arrays, ["decoder.0", "decoder.2"], **options)
    mu, log_var = (dense_from_state_dict(arrays, name) for name in ("mu", "log_var"))
    logits = dense_from_state_dict(arrays, "logits")
    prior = tb.distributions.StandardNormal(5)

    def log_joint(x, z):
        t = logits(decoder(z))
        return prior.log_prob(z) + jnp.sum(x * t - jax.nn.softplus(t))

    def q_of(x):
        h = encoder(x)
        return mu(h), jnp.exp(0.5 * log_var(h))

    def log_q(z, x):
        mean, scale = q_of(x)
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, mean, scale))

    def draw(x, key):
        mean, scale = q_of(x)
        return mean + scale * jax.random.normal(key, mean.shape)

    z = 2 * torch.randn(40, 5)
    theirs = [values.detach().numpy() for values in densities(z)]
    items, draws = x.numpy(), z.numpy()
    ours = [jax.vmap(log_joint)(items, draws), jax.vmap(log_q)(draws, items)]
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)

    model = tb.models.from_log_joint(log_joint, 64, prior=prior, support="binary")
    posterior = tb.distributions.from_functions(log_prob=log_q, sample=draw, dim=5)
    ev = tb.evaluate(model, posterior, items, k=300)
    with torch.no_grad():  # the same bound from draws by PyTorch, at 5 standard errors
        log_w = torch.stack([torch.sub(*densities(None)) for _ in range(300)])
    bound = torch.logsumexp(log_w, 0).mean().item() - np.log(300)
    w = torch.exp(log_w - log_w.amax(0))
    error = (torch.std(w, 0) / w.mean(0)).numpy() / np.sqrt(300)
    assert abs(ev.mean - bound) < 5 * np.hypot(ev.stderr_draws, np.sqrt(np.sum(error**2)) / 40)


@pytest.mark.parametrize("name", ["tensor", "from_numpy", "as_tensor"])
def test_functions_that_call_torch_are_refused_in_words(name):
    torch = torch_or_skip()
    model = tb.models.from_log_joint(lambda x, z: getattr(torch, name)(z).sum(), 4)
    with pytest.raises(UsageError, match="written in jax.numpy throughout"):
        tb.evaluate(model, tb.distributions.StandardNormal(2), np.zeros((2, 4), np.float32), k=2)
