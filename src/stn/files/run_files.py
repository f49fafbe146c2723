"""What the folder of a run holds, by name; `result.json` is written last and means "done"."""

RESULT = "result.json"  # the record
CONFIG = "config.yaml"
DATA = "data.sha256"  # which data it is of
METRICS = "metrics.csv"  # every number that was logged
PROGRESS = "progress.json"
PANELS = "panels"  # a folder of pictures, step_<step>.png
WEIGHTS = "weights.pt"  # what training ended with
LAST, PREVIOUS = "last.ckpt", "previous.ckpt"  # to continue from
TRACE = "trace.txt"  # of an error that no step could be made for
