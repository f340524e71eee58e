"""Deterministic networks: functions of one item, without a batch axis."""

from tightbound.networks.fixed import Fixed as Fixed
from tightbound.networks.mlp import ACTIVATIONS as ACTIVATIONS
from tightbound.networks.mlp import MLP as MLP
from tightbound.networks.mlp import Dense as Dense
from tightbound.networks.mlp import Joined as Joined
from tightbound.networks.mlp import Squashed as Squashed
from tightbound.networks.mlp import flat as flat
from tightbound.networks.mlp import over_layers as over_layers
from tightbound.networks.standardization import Standardization as Standardization
from tightbound.networks.standardization import Standardizing as Standardizing
from tightbound.networks.standardization import standardizing as standardizing
from tightbound.networks.state_dict import dense_from_state_dict as dense_from_state_dict
from tightbound.networks.state_dict import mlp_from_state_dict as mlp_from_state_dict
