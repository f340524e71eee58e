"""Writes the checkpoints beside it, by PyTorch itself; what they hold is in `test_torch.py`.

python tests/data/checkpoints/make.py    (needs torch too, which the tests do not)
"""

from collections import OrderedDict
from pathlib import Path
from unittest.mock import patch

import torch

HERE = Path(__file__).parent


def values():
    """Every type that is read, layouts that are not row by row, and containers in each other."""
    grid = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    return {
        "float32": grid / 8,
        "float64": torch.tensor([0.1, -1e300], dtype=torch.float64),
        "float16": torch.tensor([0.5, -65504.0], dtype=torch.float16),
        "bfloat16": torch.tensor([1.0, -2.5, 3.140625], dtype=torch.bfloat16),
        "int64": torch.tensor([2**62, -3]),
        "int32": torch.tensor([[7]], dtype=torch.int32),
        "int16": torch.tensor([-300, 300], dtype=torch.int16),
        "int8": torch.tensor([-128], dtype=torch.int8),
        "uint8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "complex64": torch.tensor([1 + 2j]),
        "complex128": torch.tensor([1 - 2j], dtype=torch.complex128),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "transposed": grid.T,
        "stepped": grid[1::2, ::3],
        "expanded": torch.tensor([3.0]).expand(2, 3),
        "row": grid[2],
        "parameter": torch.nn.Parameter(torch.tensor([1.0, 2.0])),
        "nested": [OrderedDict(a=torch.ones(2), b=None), (1, 2.5, "text", True, -(2**70))],
        "size": torch.Size([2, 3]),
        7: {"step": torch.tensor(3.0)},
    }


def network():
    """A training checkpoint: a network's state dict, that of its optimiser, and numbers."""
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        for number, parameter in enumerate(layers.parameters()):
            parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) / 8 - number)
    optimizer = torch.optim.Adam(layers.parameters(), 1e-3)
    layers(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"model": layers.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 12}


def autoencoder():
    """The checkpoint of `examples/foreign_heads.py`: one layer gives both halves of q(z|x)."""
    import tightbound as tb

    torch.manual_seed(0)
    digits = torch.from_numpy(tb.data.load("digits").train)
    linear, softplus = torch.nn.Linear, torch.nn.functional.softplus
    encoder = torch.nn.Sequential(linear(64, 16), torch.nn.Tanh(), linear(16, 4))
    decoder = torch.nn.Sequential(linear(2, 16), torch.nn.Tanh(), linear(16, 64))
    network = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(200):
        for batch in torch.bernoulli(digits)[torch.randperm(len(digits))].split(50):
            mean, scale = encoder(batch).chunk(2, dim=-1)
            q = torch.distributions.Normal(mean, softplus(scale))
            z = q.rsample()
            log_w = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z).sum(-1)
            bits = torch.distributions.Bernoulli(logits=decoder(z))
            loss = -(log_w + bits.log_prob(batch).sum(-1)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {"state_dict": network.state_dict(), "epochs": 200, "loss": loss.item()}


def main():
    for kind, new in (("zip", True), ("legacy", False)):
        options = {"_use_new_zipfile_serialization": new}
        torch.save(values(), HERE / f"values_{kind}.pt", **options)
        torch.save(network(), HERE / f"network_{kind}.pt", **options)
        float8 = torch.ones(2, dtype=torch.float8_e4m3fn)
        torch.save({"w": float8}, HERE / f"float8_{kind}.pt", **options)
        # The legacy format keeps a module's source, and where it stood on this machine.
        with patch("torch.serialization.get_source_lines_and_file", side_effect=OSError):
            torch.save(torch.nn.Linear(1, 1), HERE / f"module_{kind}.pt", **options)
    unsigned = {"w": torch.tensor([1, 65535], dtype=torch.uint16)}
    torch.save(unsigned, HERE / "unsigned_zip.pt")
    torch.save(torch.tensor([1 + 2j]).conj(), HERE / "conjugate_zip.pt")
    torch.save(autoencoder(), HERE.parents[2] / "examples" / "foreign_heads.pt")
    torch.save(values()["nested"], HERE / "protocol5_zip.pt", pickle_protocol=5)


if __name__ == "__main__":
    main()
