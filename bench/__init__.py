"""The benchmarks: each figure beside a floor, the least code that does the same I/O on the same servers."""
