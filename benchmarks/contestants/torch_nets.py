"""The networks of the PyTorch contestants."""

# pyright: reportMissingImports=false

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.sizes import Layers, Sizes, binary_data, first_convolutions, first_weights


def start(sizes: Sizes) -> tuple[nn.Sequential, nn.Sequential, list[Tensor]]:
    """Encoder to (mean, log variance), decoder to logits, and the minibatches of one pass."""
    torch.set_num_threads(sizes.threads)
    torch.manual_seed(0)
    encoder, decoder = (perceptron(layers) for layers in first_weights(sizes))
    return encoder, decoder, list(torch.from_numpy(binary_data(sizes)).split(sizes.batch))


def start_of_images(sizes: Sizes) -> tuple[nn.Module, nn.Module, list[Tensor]]:
    """The same by convolutions, of images that lie flat in the batches."""
    torch.set_num_threads(sizes.threads)
    torch.manual_seed(0)
    encoder, decoder = first_convolutions(sizes)
    networks = _ImageEncoder(encoder, sizes), _ImageDecoder(decoder, sizes)
    # Faster here than the usual order of axes.
    first, second = (network.to(memory_format=torch.channels_last) for network in networks)
    return first, second, list(torch.from_numpy(binary_data(sizes)).split(sizes.batch))


class _ImageEncoder(nn.Module):
    def __init__(self, layers: Layers, sizes: Sizes) -> None:
        super().__init__()
        modules: list[nn.Module] = [nn.Unflatten(1, (1, sizes.side, sizes.side))]
        for at in range(0, len(layers) - 2, 3):
            modules += [nn.SiLU()] if at else []
            modules += [nn.PixelUnshuffle(2), _convolution(*layers[at], squares_in=True)]
            modules.append(_Residual(layers[at + 1 : at + 3]))
        self.trunk = nn.Sequential(*modules, nn.SiLU(), nn.Flatten())
        maps = sizes.channels[-1], sizes.least_side
        self.mean, self.log_scale = (_linear(*layer, rows=maps) for layer in layers[-2:])

    def forward(self, x: Tensor) -> Tensor:
        """Mean and log variance, side by side."""
        features = self.trunk(x)
        return torch.cat([self.mean(features), 2 * self.log_scale(features)], dim=-1)


class _ImageDecoder(nn.Module):
    def __init__(self, layers: Layers, sizes: Sizes) -> None:
        super().__init__()
        maps = sizes.channels[-1], sizes.least_side
        modules = [_linear(*layers[0], columns=maps), nn.Unflatten(1, (*maps, maps[1]))]
        for at in range(1, len(layers), 3):
            modules += [_Residual(layers[at : at + 2]), nn.SiLU()]
            modules += [_convolution(*layers[at + 2], squares_out=True), nn.PixelShuffle(2)]
        self.network = nn.Sequential(*modules, nn.Flatten())

    def forward(self, z: Tensor) -> Tensor:
        """Logits, for z of shape (k, batch, latent)."""
        return self.network(z.flatten(0, -2)).unflatten(0, z.shape[:-1])


class _Residual(nn.Module):
    def __init__(self, layers: Layers) -> None:
        super().__init__()
        first, second = (_convolution(*layer) for layer in layers)
        self.inside = nn.Sequential(nn.SiLU(), first, nn.SiLU(), second)

    def forward(self, x: Tensor) -> Tensor:
        """X and what the block makes of it."""
        return x + self.inside(x)


def _convolution(
    weight: np.ndarray, bias: np.ndarray, *, squares_in: bool = False, squares_out: bool = False
) -> nn.Conv2d:
    """A convolution with these weights; PyTorch has the pixels of a square behind the channels."""
    kernel = torch.from_numpy(weight).reshape(3, 3, -1, len(bias)).permute(3, 2, 0, 1)
    if squares_in:
        kernel = kernel.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2)
    if squares_out:
        kernel = kernel.unflatten(0, (4, -1)).transpose(0, 1).flatten(0, 1)
    layer = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.bias.zero_()
    return layer


def _linear(
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    rows: tuple[int, int] | None = None,
    columns: tuple[int, int] | None = None,
) -> nn.Linear:
    """A dense layer from or to (channels, side) of a map; PyTorch has its channels first."""
    matrix = torch.from_numpy(weight)
    if rows is not None:
        matrix = matrix.reshape(rows[1] ** 2, rows[0], -1).transpose(0, 1).flatten(0, 1)
    if columns is not None:
        matrix = matrix.reshape(-1, columns[1] ** 2, columns[0]).transpose(1, 2).flatten(1, 2)
    layer = nn.Linear(*matrix.shape)
    with torch.no_grad():
        layer.weight.copy_(matrix.T)
        layer.bias.zero_()
    return layer


def perceptron(layers: Layers) -> nn.Sequential:
    """A tanh perceptron with these first weights and a linear last layer."""
    modules: list[nn.Module] = []
    for weight, bias in layers:
        linear = nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        modules += [linear, nn.Tanh()]
    return nn.Sequential(*modules[:-1])
