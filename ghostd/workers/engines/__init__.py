"""The native engines, behind one contract. Only the child process imports them."""
