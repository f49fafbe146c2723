"""One page of all records: tables, and what runs left of each cell.

`charts` draws the numbers of `metrics.csv`, `pictures` encodes images, `views` puts together what
is known of a cell, `writing` renders the page; `python -m stn.page` is the command.
"""
