"""ghostd: a per-user developer daemon. docs/architecture.md shows how the parts hang together."""

__version__ = "0.1.0"
