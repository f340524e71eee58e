"""Pyro: `SVI` with `RenyiELBO` for training, `vectorized_importance_weights` for scoring."""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportArgumentType=false

import itertools
import math
from collections.abc import Callable

import pyro
import pyro.distributions as dist
import torch
from pyro.infer import SVI, RenyiELBO
from pyro.infer.importance import vectorized_importance_weights
from pyro.optim import Adam
from torch import Tensor

from benchmarks.contestants import Block, Done
from benchmarks.contestants.torch_nets import start
from benchmarks.sizes import Sizes

# Draws decoded at once when scoring: the least CPU time of 250, 500, 1000, 2500 and 5000.
_CHUNK = 2500


def train(sizes: Sizes, variant: str) -> Block:
    del variant
    model, guide, batches = _start(sizes)
    loss = RenyiELBO(alpha=0, num_particles=sizes.k, max_plate_nesting=1, vectorize_particles=True)
    svi = SVI(model, guide, Adam({"lr": sizes.learning_rate}), loss)
    endless = itertools.cycle(batches)

    def block(n: int) -> Done:
        total = 0.0
        for x in itertools.islice(endless, n):
            total -= float(svi.step(x))
        return Done(n, total / (n * sizes.batch))

    return block


def likelihood(sizes: Sizes, variant: str) -> Block:
    del variant
    model, guide, batches = _start(sizes)
    images = torch.cat(batches)

    @torch.no_grad()
    def block(n: int) -> Done:
        total = 0.0
        for x in images[:n].split(1):
            chunks = [
                vectorized_importance_weights(
                    model,
                    guide,
                    x,
                    num_samples=min(_CHUNK, sizes.draws - done),
                    max_plate_nesting=1,
                )[0]
                for done in range(0, sizes.draws, _CHUNK)
            ]
            total += torch.logsumexp(torch.cat(chunks), dim=0).item() - math.log(sizes.draws)
        return Done(n, total / n)

    return block


def _start(sizes: Sizes) -> tuple[Callable, Callable, list[Tensor]]:
    encoder, decoder, batches = start(sizes)
    pyro.enable_validation(is_validate=False)

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("batch", x.shape[0]):
            prior = dist.Normal(torch.zeros(sizes.latent), torch.ones(sizes.latent))
            z = pyro.sample("z", prior.expand([x.shape[0], sizes.latent]).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        mean, log_variance = encoder(x).chunk(2, dim=-1)
        with pyro.plate("batch", x.shape[0]):
            pyro.sample("z", dist.Normal(mean, torch.exp(0.5 * log_variance)).to_event(1))

    return model, guide, batches
