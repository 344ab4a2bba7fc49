"""Drivers: one file for each engine. The file name is the kind that settings name."""
