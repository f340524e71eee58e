"""All classes of faults, each with the tries of a whole run of the suite."""

from tests.faults.arguments import arguments
from tests.faults.core import Class
from tests.faults.disk import disk
from tests.faults.hostile import hostile
from tests.faults.kills import kills
from tests.faults.processes import killed, processes
from tests.faults.readers import readers
from tests.faults.records import damaged_runs, records

CLASSES: dict[str, tuple[Class, int]] = {
    "readers": (readers, 4000),
    "records": (records, 3000),
    "damaged runs": (damaged_runs, 600),
    "kills": (kills, 400),
    "killed": (killed, 10),
    "processes": (processes, 60),
    "disk": (disk, 400),
    "arguments": (arguments, 2500),
    "hostile": (hostile, 400),
}
