"""Spatial Transformer Networks (Jaderberg et al., NIPS 2015), reproduced."""

__version__ = "0.1.0"
