"""What an editor shows while its user types: what still fits, which model is asked for more, and when."""
