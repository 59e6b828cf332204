"""ghostd's language server: one session for each connected editor."""
