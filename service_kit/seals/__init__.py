"""Seals personal values: the cryptography, and the keys in memory."""
