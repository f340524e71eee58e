"""Objectives: what `fit` follows. Each call returns an object for `tb.fit(objective=...)`."""

from typing import TYPE_CHECKING, Any

from tightbound.names import objectives as _found
from tightbound.objectives.abstract import AbstractObjective as AbstractObjective
from tightbound.objectives.abstract import Parts as Parts
from tightbound.objectives.abstract import Step as Step

if TYPE_CHECKING:  # what type checkers see of those that the loop below finds
    from tightbound.objectives.ali import ali as ali
    from tightbound.objectives.amortized_map import amortized_map as amortized_map
    from tightbound.objectives.annealed import annealed as annealed
    from tightbound.objectives.ciwae import ciwae as ciwae
    from tightbound.objectives.combined import combined as combined
    from tightbound.objectives.dsivi import dsivi as dsivi
    from tightbound.objectives.elbo import elbo as elbo
    from tightbound.objectives.exact import exact as exact
    from tightbound.objectives.full_vb import full_vb as full_vb
    from tightbound.objectives.hybrid import hybrid as hybrid
    from tightbound.objectives.iwae import iwae as iwae
    from tightbound.objectives.iwhvi import iwhvi as iwhvi
    from tightbound.objectives.jc_adv import jc_adv as jc_adv
    from tightbound.objectives.jc_adv_rmd import jc_adv_rmd as jc_adv_rmd
    from tightbound.objectives.jc_den import jc_den as jc_den
    from tightbound.objectives.jvi import jvi as jvi
    from tightbound.objectives.map_estimate import map_estimate as map_estimate
    from tightbound.objectives.mcem import mcem as mcem
    from tightbound.objectives.miwae import miwae as miwae
    from tightbound.objectives.opvi import opvi as opvi
    from tightbound.objectives.pc_adv import pc_adv as pc_adv
    from tightbound.objectives.pc_den import pc_den as pc_den
    from tightbound.objectives.piwae import piwae as piwae
    from tightbound.objectives.rws import rws as rws
    from tightbound.objectives.schedule import schedule as schedule
    from tightbound.objectives.sivi import sivi as sivi
    from tightbound.objectives.uivi import uivi as uivi
    from tightbound.objectives.vr import vr as vr
    from tightbound.objectives.wake_sleep import wake_sleep as wake_sleep

    def __getattr__(name: str) -> Any:
        """Objectives in files of your own."""


for _name, _place in _found().items():
    globals()[_name] = getattr(_place.load(), _name)
