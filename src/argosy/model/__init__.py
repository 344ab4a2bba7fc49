"""Nouns: what exists, what is wanted, what was decided. Records without decisions."""
