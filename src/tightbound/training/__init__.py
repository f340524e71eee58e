"""The one training loop: whole epochs in one compiled scan, resumable to the last bit."""

from tightbound.training import optimizers as optimizers
from tightbound.training.em import em as em
from tightbound.training.fit import Run as Run
from tightbound.training.fit import fit as fit
from tightbound.training.saving import load as load
from tightbound.training.saving import save as save
