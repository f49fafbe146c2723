"""One cell: built from its configuration, trained, measured, recorded, given back."""
