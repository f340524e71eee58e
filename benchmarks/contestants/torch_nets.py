"""The networks that the three PyTorch contestants share."""

# pyright: reportMissingImports=false

import torch
from torch import Tensor, nn

from benchmarks.sizes import Layers, Sizes, binary_data, first_weights


def start(sizes: Sizes) -> tuple[nn.Sequential, nn.Sequential, list[Tensor]]:
    """Encoder to (mean, log variance), decoder to logits, and the minibatches of one pass."""
    torch.set_num_threads(sizes.threads)
    torch.manual_seed(0)
    encoder, decoder = (perceptron(layers) for layers in first_weights(sizes))
    return encoder, decoder, list(torch.from_numpy(binary_data(sizes)).split(sizes.batch))


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
