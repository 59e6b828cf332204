"""Files of clients: what is known of them in SQLite, their content beside it."""
