"""pythae: the loss of its models, and `get_nll`."""

# pyright: reportMissingImports=false

from collections.abc import Callable

import torch
from pythae.data.datasets import DatasetOutput
from pythae.models import (
    CIWAE,
    HVAE,
    IWAE,
    MIWAE,
    PIWAE,
    VAE,
    CIWAEConfig,
    HVAEConfig,
    IWAEConfig,
    MIWAEConfig,
    PIWAEConfig,
    VAEConfig,
)
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor

from benchmarks.audit import Measured, Measurement, repeated
from benchmarks.audit.checks import (
    BETA,
    COIN_MEAN,
    COIN_VARIANCE,
    COINS,
    DRAWS,
    IMAGE,
    Q_MEAN,
    Q_SCALE,
    SCALE,
    K,
    X,
)

_DATA, _CALLS = 5000, 20


class _Encoder(BaseEncoder):
    """q(z|x), the same for every x."""

    def __init__(self, latent: int = 1, mean: float = 0.0, variance: float = 1.0):
        super().__init__()
        self.mean = torch.nn.Parameter(torch.full((latent,), mean))
        self.log_variance = torch.nn.Parameter(torch.full((latent,), variance).log())

    def forward(self, x: Tensor) -> ModelOutput:
        rows = x.shape[0]
        return ModelOutput(
            embedding=self.mean.expand(rows, -1),
            log_covariance=self.log_variance.expand(rows, -1),
        )


class _Decoder(BaseDecoder):
    """A decoder from a function of z, which counts the values of z."""

    def __init__(self, decode: Callable[[Tensor], Tensor]):
        super().__init__()
        self.decode = decode
        self.seen = 0

    def forward(self, z: Tensor) -> ModelOutput:
        self.seen += z.shape[0]
        return ModelOutput(reconstruction=self.decode(z))


def _exponential(z: Tensor) -> Tensor:
    """P(x = 1 | z)."""
    return -SCALE * torch.special.log_ndtr(-z)


def _of_exponential(
    model_class: type, config_class: type, field: str, call: str, **options: float
) -> Measured:
    config = config_class(input_dim=(1,), latent_dim=1, reconstruction_loss="bce", **options)
    model = model_class(config, encoder=_Encoder(), decoder=_Decoder(_exponential))
    inputs = DatasetOutput(data=torch.ones(_DATA, 1))
    torch.manual_seed(0)
    return repeated(lambda _: -float(model(inputs)[field].detach()), _CALLS, call)


def _coins(pixels: int) -> Callable[[Tensor], Tensor]:
    """Probabilities 1/2; the term in z keeps it in the graph."""
    return lambda z: 0.5 + torch.zeros(1, pixels) * z.sum(-1, keepdim=True)


def elbo() -> Measured:
    config = VAEConfig(input_dim=(COINS,), latent_dim=1, reconstruction_loss="bce")
    encoder = _Encoder(1, COIN_MEAN, COIN_VARIANCE)
    model = VAE(config, encoder=encoder, decoder=_Decoder(_coins(COINS)))
    inputs = DatasetOutput(data=torch.ones(1, COINS))
    return repeated(lambda _: -float(model(inputs).loss.detach()), 1, "`-VAE(...)(x).loss`")


def far() -> Measured:
    config = IWAEConfig(
        input_dim=(COINS,), latent_dim=1, reconstruction_loss="bce", number_samples=8
    )
    model = IWAE(config, encoder=_Encoder(), decoder=_Decoder(_coins(COINS)))
    inputs = DatasetOutput(data=torch.ones(1, COINS))
    call = "`-IWAE(...)(x).loss`, `number_samples=8`"
    return repeated(lambda _: -float(model(inputs).loss.detach()), 1, call)


def iwae() -> Measured:
    call = f"`-IWAE(...)(x).loss`, `number_samples={K}`"
    return _of_exponential(IWAE, IWAEConfig, "loss", call, number_samples=K)


def ciwae() -> Measured:
    call = f"`-CIWAE(...)(x).loss`, `number_samples={K}, beta={BETA}`"
    return _of_exponential(CIWAE, CIWAEConfig, "loss", call, number_samples=K, beta=BETA)


def miwae(m: int, k: int) -> Measured:
    call = f"`-MIWAE(...)(x).loss`, `number_gradient_estimates={m}, number_samples={k}`"
    return _of_exponential(
        MIWAE, MIWAEConfig, "loss", call, number_gradient_estimates=m, number_samples=k
    )


def piwae() -> Measured:
    call = "`-PIWAE(...)(x).decoder_loss`, `number_gradient_estimates=2, number_samples=5`"
    return _of_exponential(
        PIWAE, PIWAEConfig, "decoder_loss", call, number_gradient_estimates=2, number_samples=5
    )


def _normals() -> VAE:
    """A decoder with unit variance and mean z."""
    config = VAEConfig(input_dim=(1,), latent_dim=1, reconstruction_loss="mse")
    encoder = _Encoder(1, Q_MEAN, Q_SCALE**2)
    return VAE(config, encoder=encoder, decoder=_Decoder(lambda z: z))


@torch.no_grad()
def evidence() -> Measured:
    model = _normals()
    torch.manual_seed(0)
    return repeated(
        lambda _: -model.get_nll(torch.full((1, 1), X), n_samples=DRAWS),
        _CALLS,
        f"`-VAE.get_nll(x, n_samples={DRAWS})`",
    )


@torch.no_grad()
def draws(n: int) -> Measured:
    model = _normals()
    model.get_nll(torch.full((1, 1), X), n_samples=n)
    return Measured(model.decoder.seen, 0.0, f"`VAE.get_nll(x, n_samples={n})`")


def hamiltonian() -> Measured:
    config = HVAEConfig(
        input_dim=(1, 28, 28),
        latent_dim=2,
        reconstruction_loss="bce",
        n_lf=5,
        eps_lf=0.1,
        beta_zero=1.0,
    )
    logits = _Decoder(lambda z: torch.zeros(1, IMAGE) * z.sum(-1, keepdim=True))
    model = HVAE(config, encoder=_Encoder(2), decoder=logits)
    x = torch.ones(1, 1, 28, 28)
    torch.manual_seed(0)
    # What `evidence` shows of the sign is not counted a second time.
    return repeated(
        lambda _: model.get_nll(x, n_samples=1000, batch_size=1000),
        10,
        "`HVAE.get_nll(x, n_samples=1000, batch_size=1000)`, `n_lf=5, eps_lf=0.1, beta_zero=1`",
    )


MEASUREMENTS: dict[str, Measurement] = {
    "elbo": elbo,
    "iwae": iwae,
    "far": far,
    "ciwae": ciwae,
    "miwae-1x5": lambda: miwae(1, 5),
    "miwae-5x1": lambda: miwae(5, 1),
    "piwae": piwae,
    "evidence": evidence,
    "draws-50": lambda: draws(50),
    "draws-250": lambda: draws(250),
    "hamiltonian": hamiltonian,
}
