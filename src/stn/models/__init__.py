"""Networks, one file for each family of experiments."""
