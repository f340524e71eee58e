"""`python -m tightbound` is the command `tightbound`."""

from tightbound.cli import main

main()
