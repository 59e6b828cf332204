"""Batches of requests, run in the background: validated, answered line by line, kept across restarts."""
