"""The floors: small programs that do the same I/O as a service of ours, and nothing else.

They are the measure of what the services' own work costs, so each is as fast as we could make it. What
changes one and makes it faster without less I/O is an improvement, also where it makes us look worse.
"""
