"""What networks are trained for: `task` trains and measures, the others hold losses and metrics.

The networks themselves are in `stn.models`. Which loss and which evaluators a cell has is said in
`conf/task`.
"""
