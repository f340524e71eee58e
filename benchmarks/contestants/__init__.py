"""Who takes part, and what each computes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Task = Literal["train", "likelihood", "images"]


class Done(NamedTuple):
    """One block of work, finished: nothing of it is still being computed.

    `units` is the number of training steps or images done; `value` is the mean bound per datum
    over the steps, or the mean log-likelihood of the images, in nats (None for bare products).
    `seconds` is the contestant's own clock, where a block compiles anew and only it can tell work
    from compiling.
    """

    units: int
    value: float | None
    seconds: float | None = None


Block = Callable[[int], Done]


@dataclass(frozen=True)
class Contestant:
    """A way to do one task: `module` has a function named after the task, given `variant`."""

    name: str
    task: Task
    module: str
    variant: str
    packages: tuple[str, ...]
    computes: str


_JAX = ("jax",)
_NUMPYRO = ("numpyro", "jax")
_PYRO = ("pyro-ppl", "torch")
_PYTHAE = ("pythae", "torch")
_TIGHTBOUND = ("tightbound", "jax")
_TORCH = ("torch",)

REFERENCE = "tightbound"
FLOOR: dict[Task, str] = {"train": "products", "likelihood": "products", "images": "convolutions"}
"""What no program can avoid."""

CONTESTANTS = (
    Contestant(
        "tightbound",
        "train",
        "tightbound_fit",
        "reparameterized",
        _TIGHTBOUND,
        "`tb.fit`, IWAE, k = 50, gradient of the bound; shuffling and records of an epoch included",
    ),
    Contestant(
        "tightbound-dreg",
        "train",
        "tightbound_fit",
        "dreg",
        _TIGHTBOUND,
        "the same with the doubly reparameterised gradient",
    ),
    Contestant(
        "tightbound-single-sample",
        "train",
        "tightbound_fit",
        "single_sample",
        _TIGHTBOUND,
        "the same with the gradient through one draw out of k, chosen by weight",
    ),
    Contestant(
        "products",
        "train",
        "products",
        "scan",
        _JAX,
        "matrix products of one step alone, in one compiled scan: the floor of every gradient "
        "through all k draws",
    ),
    Contestant(
        "products-one-by-one",
        "train",
        "products",
        "one_by_one",
        _JAX,
        "the same products, each its own call: checks that the scan skips none",
    ),
    Contestant(
        "torch",
        "train",
        "torch_plain",
        "eager",
        _TORCH,
        "plain PyTorch, IWAE, k = 50, gradient of the bound, fused Adam",
    ),
    Contestant(
        "torch-compile",
        "train",
        "torch_plain",
        "compile",
        _TORCH,
        "the same with the bound under `torch.compile`",
    ),
    Contestant(
        "pythae",
        "train",
        "pythae_iwae",
        "",
        _PYTHAE,
        "its `IWAE`, 50 samples, its trainer's step without the data loader; gradient of the "
        "bound; the value it reports is not the bound",
    ),
    Contestant(
        "pyro",
        "train",
        "pyro_renyi",
        "",
        _PYRO,
        "`RenyiELBO(alpha=0)`, 50 vectorised particles, gradient of the bound, validation off",
    ),
    Contestant(
        "numpyro",
        "train",
        "numpyro_renyi",
        "loop",
        _NUMPYRO,
        "`RenyiELBO`, 50 particles, gradient of the bound, jitted `svi.update` in a Python loop",
    ),
    Contestant(
        "numpyro-scan",
        "train",
        "numpyro_renyi",
        "scan",
        _NUMPYRO,
        "the same `svi.update` inside `lax.scan`",
    ),
    Contestant(
        "tightbound",
        "likelihood",
        "tightbound_fit",
        "",
        _TIGHTBOUND,
        "`tb.evaluate`: per image log-evidence, standard error, ESS and Pareto-k",
    ),
    Contestant(
        "products",
        "likelihood",
        "products",
        "scan",
        _JAX,
        "the decoder's forward matrix products alone, in one compiled scan: the floor",
    ),
    Contestant(
        "products-one-by-one",
        "likelihood",
        "products",
        "one_by_one",
        _JAX,
        "the same products, each its own call",
    ),
    Contestant(
        "decoder",
        "likelihood",
        "decoder",
        "given",
        _JAX,
        "the products with tanh and the Bernoulli log-likelihood, written out, draws given",
    ),
    Contestant(
        "decoder-drawn",
        "likelihood",
        "decoder",
        "drawn",
        _JAX,
        "the same with normal draws, each from a key of its own",
    ),
    Contestant(
        "torch",
        "likelihood",
        "torch_plain",
        "eager",
        _TORCH,
        "plain PyTorch, one encoding per image, draws in chunks; the estimate alone",
    ),
    Contestant(
        "pythae",
        "likelihood",
        "pythae_iwae",
        "",
        _PYTHAE,
        "`model.get_nll(batch_size=100)` without gradients; one mean over the images",
    ),
    Contestant(
        "pyro",
        "likelihood",
        "pyro_renyi",
        "",
        _PYRO,
        "`vectorized_importance_weights` in chunks, log-mean-exp; the estimate alone",
    ),
    Contestant(
        "numpyro",
        "likelihood",
        "numpyro_renyi",
        "loop",
        _NUMPYRO,
        "jitted `svi.evaluate`, `RenyiELBO` of 5,000 particles, image by image; the estimate alone",
    ),
    Contestant(
        "tightbound",
        "images",
        "tightbound_fit",
        "",
        _TIGHTBOUND,
        '`tb.fit`, `network="conv"`, ELBO; shuffling and records of an epoch included',
    ),
    Contestant(
        "convolutions",
        "images",
        "convolutions",
        "",
        _JAX,
        "the convolutions of one step alone, forward and both gradients, in one compiled scan",
    ),
    Contestant(
        "torch",
        "images",
        "torch_plain",
        "eager",
        _TORCH,
        "the same network in plain PyTorch, ELBO, `channels_last`, fused Adam",
    ),
    Contestant(
        "torch-compile",
        "images",
        "torch_plain",
        "compile",
        _TORCH,
        "the same with the bound under `torch.compile`",
    ),
)
