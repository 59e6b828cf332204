"""Symbols, definitions, references and calls, for people to go to: over the Index port and `ghostd.resolve` alone."""
