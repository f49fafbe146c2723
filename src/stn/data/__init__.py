"""Data sets and their distortions: every random draw is a function of (seed, purpose, epoch, sample).

`randomness` draws, `distortions` warps batches of digits on any device, `mnist` is the Lightning data
module. `randomness` and `distortions` need nothing but torch; importing this package imports none of them.
"""
