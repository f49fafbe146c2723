"""LightningModules: loss, metrics, optimiser. The networks themselves are in `stn.models`."""
