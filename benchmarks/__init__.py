"""What a spatial transformer costs here, measured: `python -m benchmarks`, or `make bench`."""
