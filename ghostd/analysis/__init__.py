"""What a project is made of: languages, packages, module graph, central and often changed files, a map of it."""
