"""What a spatial transformer costs here, measured: `python -m stn.bench`, or `make bench`."""
