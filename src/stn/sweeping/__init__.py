"""Many cells: which ones a sweep has, which are missing, and what it shows meanwhile."""
