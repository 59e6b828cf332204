"""The HTTP/1.1 client under every provider."""
