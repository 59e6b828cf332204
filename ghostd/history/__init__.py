"""Git history: the History port on pygit2, in a process of its own."""
