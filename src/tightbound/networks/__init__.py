"""Deterministic networks: functions of one item, without a batch axis."""

from tightbound.networks.holes import AbstractReader as AbstractReader
from tightbound.networks.holes import Shaped as Shaped
from tightbound.networks.holes import WithMask as WithMask
from tightbound.networks.holes import read as read
from tightbound.networks.mlp import ACTIVATIONS as ACTIVATIONS
from tightbound.networks.mlp import MLP as MLP
from tightbound.networks.mlp import Dense as Dense
from tightbound.networks.mlp import Joined as Joined
from tightbound.networks.mlp import Squashed as Squashed
from tightbound.networks.mlp import flat as flat
from tightbound.networks.mlp import over_layers as over_layers
from tightbound.networks.state_dict import dense_from_state_dict as dense_from_state_dict
from tightbound.networks.state_dict import mlp_from_state_dict as mlp_from_state_dict
