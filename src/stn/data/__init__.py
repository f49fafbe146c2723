"""Data sets and their distortions.

Every random draw is a function of (seed, purpose, epoch, sample): `randomness`. `distortions` warps
batches of digits on any device; `mnist` is the Lightning data module; `python -m stn.data.sheet`
draws examples of every distortion. Importing this package imports none of them.
"""
