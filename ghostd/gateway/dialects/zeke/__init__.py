"""Zeke's own calls, in both of its vocabularies."""
