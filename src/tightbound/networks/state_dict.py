"""Dense networks from the named arrays of a PyTorch state dict.

PyTorch's `Linear` keeps its weight as (out, in) and computes `x @ weight.T + bias`; ours is
(in, out).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from tightbound.core.errors import UsageError
from tightbound.networks.dense import MLP, Dense


def dense_from_state_dict(arrays: Mapping[str, Any], layer: str) -> Dense:
    """Makes the affine map of one `Linear` from `LAYER.weight` (out, in) and `LAYER.bias` (out,).

    Args:
        arrays: A state dict as arrays by name, such as `tb.data.load_arrays` gives, or
            `tb.data.load_torch`, out of whose checkpoint it may have to be taken by its name.
        layer: Name of the layer, such as "decoder.0".

    Raises:
        UsageError: A missing name (those that are there are listed), shapes that do not fit, or
            numbers that are not finite.
    """
    weight = _array(arrays, f"{layer}.weight")
    bias = _array(arrays, f"{layer}.bias")
    if weight.ndim != 2:
        raise UsageError(
            f"expected {layer}.weight of shape (out, in), that of a dense layer, got {weight.shape}"
        )
    if bias.shape != weight.shape[:1]:
        swapped = (
            " (it seems to be (in, out): transpose it)" if bias.shape == weight.shape[1:] else ""
        )
        raise UsageError(
            f"expected {layer}.bias of shape ({weight.shape[0]},) for {layer}.weight of shape "
            f"(out, in) = {weight.shape}{swapped}, got {bias.shape}"
        )
    return Dense(jnp.asarray(weight.T, jnp.float32), jnp.asarray(bias, jnp.float32))


def mlp_from_state_dict(
    arrays: Mapping[str, Any], layers: Sequence[str], *, activation: str = "tanh"
) -> MLP:
    """Makes a perceptron from `Linear` layers, each followed by the activation, the last one too.

    A last layer without one is a map of its own: `dense_from_state_dict`. "gelu" is the tanh
    approximation, PyTorch's `GELU(approximate="tanh")`; the other activations are PyTorch's own
    with their defaults.

    Args:
        arrays: A state dict, as for `dense_from_state_dict`.
        layers: Names of the layers from input to output, such as `["encoder.0", "encoder.2"]`.
        activation: Name of the activation, one of `tightbound.networks.ACTIVATIONS`.

    Raises:
        UsageError: As for `dense_from_state_dict`, an unknown activation, no layers, or a layer
            whose inputs are not as many as the outputs of the one before.
    """
    if isinstance(layers, str) or not layers:
        raise UsageError(f"expected a sequence of names of layers, got {layers!r}")
    dense = [dense_from_state_dict(arrays, layer) for layer in layers]
    for i in range(1, len(dense)):
        (outputs,), (inputs, n_out) = dense[i - 1].bias.shape, dense[i].weight.shape
        if inputs != outputs:
            raise UsageError(
                f"expected {layers[i]}.weight of shape ({n_out}, {outputs}) after {layers[i - 1]} "
                f"with {outputs} outputs, got ({n_out}, {inputs})"
            )
    return MLP(tuple(dense), activation)


def _array(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    if name not in arrays:
        hint = "; a layer without a bias needs zeros" if name.endswith(".bias") else ""
        inside = [key for key, value in arrays.items() if isinstance(value, Mapping)]
        holders = [key for key in inside if name in arrays[key]]
        if holders:
            hint = f"; it is in the dictionary {holders[0]!r}: pass that one alone"
        there = ", ".join(map(str, arrays)) or "no arrays at all"
        raise UsageError(f"expected an array {name!r}, got {there}{hint}")
    array = np.asarray(arrays[name])
    if array.dtype.kind != "f":
        raise UsageError(f"expected {name} of a floating-point type, got {array.dtype}")
    if not np.all(np.isfinite(array)):
        raise UsageError(
            f"expected finite numbers in {name}, got {np.sum(~np.isfinite(array))} others"
        )
    return array
