"""Vectors of the projects' chunks: made in the background, kept on the disk, searched in memory."""
