"""What makes a finished network quicker on a processor; torch only."""

from stn.fast.layers import accelerate

__all__ = ["accelerate"]
