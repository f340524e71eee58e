"""A process that is warm: it runs commands in folders of its parent's, and says how they end."""

import os
import sys
from multiprocessing.connection import Client, Connection

from tests.faults.commands import Said, called
from tests.faults.workplace import quick


def serve(connection: Connection) -> None:
    """Runs (folder, arguments) after (folder, arguments), until None comes."""
    while (asked := connection.recv()) is not None:
        folder, arguments = asked
        with quick(folder):
            said: Said = called(*arguments)
        connection.send(tuple(said))


if __name__ == "__main__":
    with Client(sys.argv[1], authkey=bytes.fromhex(os.environ["FAULTS_KEY"])) as connected:
        serve(connected)
