"""Deterministic networks: functions of one item, without a batch axis."""

from typing import TYPE_CHECKING, Any

from equinox import Module as _Module

from tightbound.core.discovery import classes as _classes
from tightbound.networks.beside import Beside as Beside
from tightbound.networks.chain import Chain as Chain
from tightbound.networks.convolutional import Convolution as Convolution
from tightbound.networks.convolutional import ConvolutionalDecoder as ConvolutionalDecoder
from tightbound.networks.convolutional import ConvolutionalEncoder as ConvolutionalEncoder
from tightbound.networks.convolutional import ConvolutionalMap as ConvolutionalMap
from tightbound.networks.convolutional import Images as Images
from tightbound.networks.convolutional import Residual as Residual
from tightbound.networks.dense import ACTIVATIONS as ACTIVATIONS
from tightbound.networks.dense import MLP as MLP
from tightbound.networks.dense import Dense as Dense
from tightbound.networks.dense import FixedDense as FixedDense
from tightbound.networks.dense import Joined as Joined
from tightbound.networks.dense import Squashed as Squashed
from tightbound.networks.dense import flat as flat
from tightbound.networks.dense import frozen as frozen
from tightbound.networks.dense import joined as joined
from tightbound.networks.features import Features as Features
from tightbound.networks.features import Featurized as Featurized
from tightbound.networks.features import viewing as viewing
from tightbound.networks.fixed import Fixed as Fixed
from tightbound.networks.holes import AbstractReader as AbstractReader
from tightbound.networks.holes import Reshaped as Reshaped
from tightbound.networks.holes import WithMask as WithMask
from tightbound.networks.holes import read as read
from tightbound.networks.layer import AbstractLayer as AbstractLayer
from tightbound.networks.layer import is_layer as is_layer
from tightbound.networks.layer import over_layers as over_layers
from tightbound.networks.maps import Maps as Maps
from tightbound.networks.on_part import OnPart as OnPart
from tightbound.networks.on_part import features_of_part as features_of_part
from tightbound.networks.recurrent import Recurrent as Recurrent
from tightbound.networks.signs import WithSigns as WithSigns
from tightbound.networks.standardization import Standardization as Standardization
from tightbound.networks.standardization import Standardizing as Standardizing
from tightbound.networks.standardization import standardizing as standardizing
from tightbound.networks.state_dict import dense_from_state_dict as dense_from_state_dict
from tightbound.networks.state_dict import mlp_from_state_dict as mlp_from_state_dict
from tightbound.networks.whole import Body as Body
from tightbound.networks.whole import Head as Head
from tightbound.networks.whole import Piece as Piece
from tightbound.networks.whole import Shifted as Shifted
from tightbound.networks.whole import Trunk as Trunk
from tightbound.networks.whole import Whole as Whole
from tightbound.networks.whole import reshaped as reshaped

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Networks in files of your own, which the last line finds."""


globals().update(_classes("networks", _Module))
