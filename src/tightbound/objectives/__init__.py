"""Objectives: what `fit` follows. Each call returns an object for `tb.fit(objective=...)`."""

from tightbound.objectives.abstract import AbstractObjective as AbstractObjective
from tightbound.objectives.abstract import Parts as Parts
from tightbound.objectives.abstract import Step as Step
from tightbound.objectives.annealed import annealed as annealed
from tightbound.objectives.ciwae import ciwae as ciwae
from tightbound.objectives.combined import combined as combined
from tightbound.objectives.dsivi import dsivi as dsivi
from tightbound.objectives.elbo import elbo as elbo
from tightbound.objectives.exact import exact as exact
from tightbound.objectives.full_vb import full_vb as full_vb
from tightbound.objectives.iwae import iwae as iwae
from tightbound.objectives.iwhvi import iwhvi as iwhvi
from tightbound.objectives.jvi import jvi as jvi
from tightbound.objectives.map_estimate import map_estimate as map_estimate
from tightbound.objectives.mcem import mcem as mcem
from tightbound.objectives.miwae import miwae as miwae
from tightbound.objectives.piwae import piwae as piwae
from tightbound.objectives.rws import rws as rws
from tightbound.objectives.schedule import schedule as schedule
from tightbound.objectives.sivi import sivi as sivi
from tightbound.objectives.uivi import uivi as uivi
from tightbound.objectives.vr import vr as vr
from tightbound.objectives.wake_sleep import wake_sleep as wake_sleep
