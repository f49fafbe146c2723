"""Imported before all else by the commands: says what to install where that is missing."""

import sys
from importlib.util import find_spec

if find_spec("hydra") is None:
    sys.exit(
        "the commands need more than the layer: pip install"
        " 'spatial-transformer-networks[experiments]' ('.[experiments]' in a checkout)"
    )
