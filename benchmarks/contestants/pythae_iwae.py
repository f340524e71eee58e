"""pythae's own `IWAE`, with networks of the shared architecture."""

# pyright: reportMissingImports=false

import itertools

import torch
from pythae.data.datasets import DatasetOutput
from pythae.models import IWAE, IWAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import Tensor, nn

from benchmarks.contestants import Block, Done
from benchmarks.contestants.torch_nets import start
from benchmarks.sizes import Sizes


class _Encoder(BaseEncoder):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> ModelOutput:
        mean, log_variance = self.net(x).chunk(2, dim=-1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class _Decoder(BaseDecoder):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=torch.sigmoid(self.net(z)))


def train(sizes: Sizes, variant: str) -> Block:
    del variant
    model, batches = _start(sizes)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=sizes.learning_rate)
    endless = itertools.cycle([DatasetOutput(data=batch) for batch in batches])

    def block(n: int) -> Done:
        reported = 0.0
        for inputs in itertools.islice(endless, n):
            # What `BaseTrainer.train_step` does with a batch, reading the loss included.
            loss = model(inputs).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            reported -= loss.item()
        return Done(n, reported / n)

    return block


def likelihood(sizes: Sizes, variant: str) -> Block:
    del variant
    model, batches = _start(sizes)
    model.eval()
    images = torch.cat(batches)

    @torch.no_grad()
    def block(n: int) -> Done:
        return Done(n, float(model.get_nll(images[:n], n_samples=sizes.draws, batch_size=100)))

    return block


def _start(sizes: Sizes) -> tuple[IWAE, list[Tensor]]:
    encoder, decoder, batches = start(sizes)
    config = IWAEConfig(
        input_dim=(sizes.observed,),
        latent_dim=sizes.latent,
        number_samples=sizes.k,
        reconstruction_loss="bce",
    )
    return IWAE(config, encoder=_Encoder(encoder), decoder=_Decoder(decoder)), batches
