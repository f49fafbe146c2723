"""Files that are there as a whole or not at all: atomic writing, locks, checksums, scrubbing."""
