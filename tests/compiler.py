"""How the tests compile: in a third of the time that users' programs take, and less optimised.

LLVM's optimisations take a third of the time, and the emitters of fusions and modules in parts
more than half of the rest. Only the jaxlib of the lock file is known to have the flags of the
latter: one that it does not know ends the process.
"""

from importlib.metadata import version

_BOTH = {"xla_backend_optimization_level": ("0", 3)}
if version("jaxlib") == "0.10.2":
    _BOTH |= {
        "xla_cpu_use_fusion_emitters": ("false", True),
        "xla_cpu_parallel_codegen_split_count": ("1", 32),
        "xla_cpu_opt_preset": ("CPU_OPT_PRESET_FAST_COMPILE", "CPU_OPT_PRESET_DEFAULT"),
    }

FLAGS = " ".join(f"--{name}={quick}" for name, (quick, _) in _BOTH.items())
"""For `XLA_FLAGS`."""
AS_USERS = {name: full for name, (_, full) in _BOTH.items()}
"""Options of one program, which undo the flags."""
