"""Importing this silences what Lightning and joblib warn of, and is not true of cells."""

import logging
import warnings

logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
for message in (
    ".*exists and is not empty",
    ".*LeafSpec",
    ".*does not have many workers",
    ".*srun. command is available",
    "Grad strides do not match",  # of one-channel kernels, whose strides say nothing
    "The dirpath has changed",  # of a folder that was moved, where the run goes on as it should
    "A worker stopped while some jobs",  # joblib has started another; a cell left over is run again
    ".*sync_dist=True",  # the counts are summed over the ranks already
):
    warnings.filterwarnings("ignore", message)
