"""The project index: scan, watch, parse in a worker process, store in SQLite, search."""
