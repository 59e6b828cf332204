"""`python -m ghostd`."""

from ghostd.cli.main import ghostd

ghostd(prog_name="ghostd")
