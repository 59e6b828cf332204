"""The ResponseStore port over SQLite."""
