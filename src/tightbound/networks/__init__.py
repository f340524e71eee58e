"""Deterministic networks: functions of one item, without a batch axis."""

from tightbound.networks.mlp import ACTIVATIONS as ACTIVATIONS
from tightbound.networks.mlp import MLP as MLP
from tightbound.networks.mlp import Dense as Dense
from tightbound.networks.mlp import over_layers as over_layers
