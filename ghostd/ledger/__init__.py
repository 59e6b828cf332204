"""The record of requests: an appended journal, moved to SQLite off the hot path, and reports on it."""
