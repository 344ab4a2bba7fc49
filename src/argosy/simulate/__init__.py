"""Simulate: the same decisions against recorded or invented worlds, with a virtual clock and seeded chance."""
