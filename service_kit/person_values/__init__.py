"""Reads a person's values as clients write them: gives the one normal form, to store and to ask for."""
