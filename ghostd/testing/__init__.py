"""Doubles and contract tests for ghostd's ports, for its own tests and for plug-in authors."""
