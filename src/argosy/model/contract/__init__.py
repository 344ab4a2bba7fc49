"""Contract kinds, one file each; the file name is the word that users write as `kind`."""
