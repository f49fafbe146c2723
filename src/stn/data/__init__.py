"""Data sets, on the training device, distorted reproducibly.

Every random draw is a function of (seed, purpose, epoch, sample): `randomness`. `distortions` warps
batches of digits on any device; `mnist` is the Lightning data module; `distorted` gives the same
images to loops of one's own. Importing this package imports none of them.
"""
