"""Spatial Transformer Networks (Jaderberg et al., NIPS 2015), reproduced.

`stn.transformers` is the layer; `stn.load` gives the network of a finished run back.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stn.running.restoring import load_network as load

__all__ = ["__version__", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what `load` needs, which the layer does not, when it is asked for."""
    if name == "load":
        from stn.running.restoring import load_network

        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
