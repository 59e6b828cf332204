"""Manifest files of many ecosystems: what a package is called, what it depends on, and what it runs."""
