"""Objectives: what `fit` follows. Each call returns an object for `tb.fit(objective=...)`."""

from typing import TYPE_CHECKING, Any

from tightbound.core.names import objectives as _found
from tightbound.objectives.contract import AbstractObjective as AbstractObjective
from tightbound.objectives.contract import Params as Params
from tightbound.objectives.contract import Step as Step

if TYPE_CHECKING:  # what type checkers see of those that the loop below finds
    from tightbound.objectives.direct.exact import exact as exact
    from tightbound.objectives.direct.mcem import mcem as mcem
    from tightbound.objectives.implicit.ali import ali as ali
    from tightbound.objectives.implicit.amortized_map import amortized_map as amortized_map
    from tightbound.objectives.implicit.hybrid import hybrid as hybrid
    from tightbound.objectives.implicit.jc_adv import jc_adv as jc_adv
    from tightbound.objectives.implicit.jc_adv_rmd import jc_adv_rmd as jc_adv_rmd
    from tightbound.objectives.implicit.jc_den import jc_den as jc_den
    from tightbound.objectives.implicit.opvi import opvi as opvi
    from tightbound.objectives.implicit.pc_adv import pc_adv as pc_adv
    from tightbound.objectives.implicit.pc_den import pc_den as pc_den
    from tightbound.objectives.multisample.annealed import annealed as annealed
    from tightbound.objectives.multisample.ciwae import ciwae as ciwae
    from tightbound.objectives.multisample.combined import combined as combined
    from tightbound.objectives.multisample.elbo import elbo as elbo
    from tightbound.objectives.multisample.iwae import iwae as iwae
    from tightbound.objectives.multisample.jvi import jvi as jvi
    from tightbound.objectives.multisample.miwae import miwae as miwae
    from tightbound.objectives.multisample.piwae import piwae as piwae
    from tightbound.objectives.multisample.vr import vr as vr
    from tightbound.objectives.semi_implicit.dsivi import dsivi as dsivi
    from tightbound.objectives.semi_implicit.iwhvi import iwhvi as iwhvi
    from tightbound.objectives.semi_implicit.sivi import sivi as sivi
    from tightbound.objectives.semi_implicit.uivi import uivi as uivi
    from tightbound.objectives.wake.npe import npe as npe
    from tightbound.objectives.wake.rws import rws as rws
    from tightbound.objectives.wake.wake_sleep import wake_sleep as wake_sleep
    from tightbound.objectives.wrappers.full_vb import full_vb as full_vb
    from tightbound.objectives.wrappers.map_estimate import map_estimate as map_estimate
    from tightbound.objectives.wrappers.schedule import schedule as schedule

    def __getattr__(name: str) -> Any:
        """Objectives in files of your own."""


for _name, _place in _found().items():
    globals()[_name] = getattr(_place.load(), _name)
