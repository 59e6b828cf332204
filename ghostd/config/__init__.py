"""The configuration: TOML → frozen structs, checked once. Each setting has its unit in its name and a default.

`settings` has all of it, a module for each group of tables stands beside it, and `load` reads a file.
`docs/configuration.md` lists every setting; a test compares the two.
"""
