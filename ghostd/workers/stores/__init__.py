"""GGUF files that other programs have downloaded: a module for each program's way to keep them."""
