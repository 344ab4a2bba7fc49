"""Readers of public formats. Each module reads one format and returns records, or every problem at once.

Called by `cli`. A reader knows its format only: it never decides, never writes and never half-loads a file.
"""
