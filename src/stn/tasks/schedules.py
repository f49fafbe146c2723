"""Learning-rate schedules as pure functions of the step."""

import math


class WarmupCosine:
    """Factor on the learning rate: linear warm-up from near 0 to 1, then half a cosine to 0.

    For `torch.optim.lr_scheduler.LambdaLR`, which keeps the ratios between parameter groups (the
    localisation network has a learning rate of its own).

    Args:
        total_steps: length of training in optimiser steps.
        warmup_share: share of `total_steps` that the warm-up takes, in [0, 1).

    Raises:
        ValueError: a length below 1 or a share outside [0, 1).
    """

    def __init__(self, total_steps: int, warmup_share: float = 0.1) -> None:
        if total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, not {total_steps}")
        if not 0 <= warmup_share < 1:
            raise ValueError(f"warmup_share must lie in [0, 1), not {warmup_share}")
        self.total_steps = total_steps
        self.warmup_steps = max(1, round(total_steps * warmup_share))

    def __call__(self, step: int) -> float:
        """Return the factor for optimiser step `step`, counted from 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        remaining = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / remaining)
        return 0.5 * (1 + math.cos(math.pi * progress))
