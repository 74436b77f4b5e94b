"""Reads a person's values as clients write them: gives the one normal form, to be stored and to be asked for."""
