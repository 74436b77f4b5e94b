"""Random faults of every kind under a mixed load, and afterwards what became of each promise."""
