"""Adapters for services that offer models over the network: one module for each API dialect."""
