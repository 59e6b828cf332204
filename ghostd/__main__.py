"""`python -m ghostd`."""

from ghostd.cli.main import ghostd

ghostd()
