"""What watches a run: metrics file, pictures, progress, time. Nothing here changes a result."""
