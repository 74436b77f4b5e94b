"""The verbs of `./run`: a table from words to functions, and the one place that shows errors."""
