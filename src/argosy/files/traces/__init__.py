"""Importers of public traces, one file each; the file name is the word that users write before the colon."""
