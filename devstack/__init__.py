"""The whole system on one machine: servers, services, and what keeps watch over them.

Importing this package needs the standard library alone, because the set-up runs before anything is
installed.
"""
