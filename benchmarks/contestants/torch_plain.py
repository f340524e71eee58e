"""IWAE written by hand in PyTorch, eager or compiled."""

# pyright: reportMissingImports=false

import itertools
import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.contestants import Block, Done
from benchmarks.contestants.torch_nets import start, start_of_images
from benchmarks.sizes import Sizes

# Draws decoded at once when scoring: no other of 250, 500, 1000 and 5000 took less CPU time.
_CHUNK = 2500


def train(sizes: Sizes, variant: str) -> Block:
    return _training(sizes, variant, *start(sizes), k=sizes.k)


def images(sizes: Sizes, variant: str) -> Block:
    return _training(sizes, variant, *start_of_images(sizes), k=1)


def _training(
    sizes: Sizes,
    variant: str,
    encoder: nn.Module,
    decoder: nn.Module,
    batches: list[Tensor],
    *,
    k: int,
) -> Block:
    loss_of = partial(_loss, encoder, decoder, k=k)
    if variant == "compile":
        loss_of = torch.compile(loss_of)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=sizes.learning_rate, fused=True)
    endless = itertools.cycle(batches)

    def block(n: int) -> Done:
        total = torch.zeros(())
        for x in itertools.islice(endless, n):
            optimizer.zero_grad()
            loss = loss_of(x)
            loss.backward()
            optimizer.step()
            total -= loss.detach()
        return Done(n, total.item() / n)

    return block


def likelihood(sizes: Sizes, variant: str) -> Block:
    del variant
    encoder, decoder, batches = start(sizes)
    images = torch.cat(batches)

    @torch.inference_mode()
    def block(n: int) -> Done:
        total = 0.0
        for x in images[:n]:
            mean, log_variance = encoder(x[None]).chunk(2, dim=-1)
            chunks = [
                _log_weights(
                    decoder, x[None], mean, log_variance, k=min(_CHUNK, sizes.draws - done)
                )
                for done in range(0, sizes.draws, _CHUNK)
            ]
            total += _log_mean_exp(torch.cat(chunks)).item()
        return Done(n, total / n)

    return block


def _loss(encoder: nn.Module, decoder: nn.Module, x: Tensor, *, k: int) -> Tensor:
    mean, log_variance = encoder(x).chunk(2, dim=-1)
    return -_log_mean_exp(_log_weights(decoder, x, mean, log_variance, k=k)).mean()


def _log_weights(
    decoder: nn.Module, x: Tensor, mean: Tensor, log_variance: Tensor, *, k: int
) -> Tensor:
    """Shape (k, batch); the two log(2 pi) of prior and posterior cancel."""
    noise = torch.randn(k, *mean.shape)
    z = mean + torch.exp(0.5 * log_variance) * noise
    logits = decoder(z)
    log_likelihood = -binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).sum(-1)
    log_prior = -0.5 * z.square().sum(-1)
    log_posterior = -0.5 * (noise.square() + log_variance).sum(-1)
    return log_likelihood + log_prior - log_posterior


def _log_mean_exp(log_w: Tensor) -> Tensor:
    return torch.logsumexp(log_w, dim=0) - math.log(log_w.shape[0])
