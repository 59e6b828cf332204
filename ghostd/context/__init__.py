"""What a prompt quotes: retrieve, score, pack to a token budget, explain."""
