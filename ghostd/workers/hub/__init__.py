"""Fetching GGUF files from a Hugging Face repository, for `ghostctl models pull`."""
