"""The port GitHistory on pygit2, in a process of its own."""
