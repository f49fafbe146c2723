"""Counter-based random numbers: a draw is a function of (key, index, column), and of nothing else.

There is no generator and so no history: neither the batch a sample happens to sit in, nor its
place there, nor the device, nor what was drawn before can change a value. A resumed run therefore
equals an uninterrupted one, and a rank of a distributed run sees what one process would have seen.

Every sample has its own SplitMix64 sequence (Steele, Lea & Flood, OOPSLA 2014): its start is a mix
of key and sample index, and column c is the c-th number of it. Arithmetic is that of int64 tensors,
which wrap like unsigned ones.
"""

import hashlib
import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))
_LAST_SHIFT = 31


def stream(seed: int, purpose: str, epoch: int = 0) -> int:
    """The 64-bit key of one stream of draws, for instance `stream(0, "train", epoch=3)`."""
    name = f"{int(seed)}/{purpose}/{int(epoch)}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def uniform(key: int, index: Tensor, num: int) -> Tensor:
    """Draws from U[0, 1), the same bits on every device.

    Args:
        key: a 64-bit key from `stream`.
        index: (B,) int64, which sample each row belongs to.
        num: columns per sample.

    Returns:
        (B, num) float32, multiples of 2^-24.
    """
    return _top_bits(_hash(key, index, num), 24).to(torch.float32).mul_(2.0**-24)


def normal(key: int, index: Tensor, num: int) -> Tensor:
    """Draws from N(0, 1) by inverting its distribution function; never beyond 5.3 deviations.

    Devices may differ in the last bits, as their `erfinv` does. Arguments as of `uniform`.

    Returns:
        (B, num) float32.
    """
    # Odd multiples of 2^-23 in (-1, 1): exact in float32, symmetric, and never +-1.
    odd = _top_bits(_hash(key, index, num), 23).mul_(2).sub_(2**23 - 1)
    return odd.to(torch.float32).mul_(2.0**-23).erfinv_().mul_(math.sqrt(2))


def integers(key: int, index: Tensor, high: list[int]) -> Tensor:
    """Draws whole numbers: column c is uniform on 0 .. high[c] - 1 (to within 2^-32 of high[c]).

    Args:
        key: a 64-bit key from `stream`.
        index: (B,) int64, which sample each row belongs to.
        high: one bound for each column, at most 2^31.

    Returns:
        (B, len(high)) int64.
    """
    bounds = torch.tensor(high, dtype=torch.int64, device=index.device)
    return _top_bits(_hash(key, index, len(high)), 32).mul_(bounds).bitwise_right_shift_(32)


def permutation(key: int, n: int) -> Tensor:
    """The order of n things under this key: (n,) int64 on the CPU, the ranking of their hashes."""
    return _hash(key, torch.arange(n), 1).flatten().argsort(stable=True)


def _hash(key: int, index: Tensor, num: int) -> Tensor:
    """(B, num) int64, all bits random: the first `num` numbers of each sample's sequence."""
    if index.ndim != 1 or index.dtype != torch.int64:
        raise ValueError(f"index must be (B,) int64, got {tuple(index.shape)} {index.dtype}")
    start = _mix(index * _signed(_GOLDEN) + _signed(key))
    steps = torch.arange(1, num + 1, device=index.device) * _signed(_GOLDEN)
    return _mix(start[:, None] + steps)


def _mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser: a bijection in which every input bit reaches every output bit."""
    for shift, factor in _MIX:
        z = _top_bits(z, 64 - shift).bitwise_xor_(z).mul_(_signed(factor))
    return _top_bits(z, 64 - _LAST_SHIFT).bitwise_xor_(z)


def _top_bits(z: Tensor, num_bits: int) -> Tensor:
    """The `num_bits` highest bits as a number: a logical shift, where torch's is arithmetic."""
    return (z >> (64 - num_bits)).bitwise_and_((1 << num_bits) - 1)


def _signed(word: int) -> int:
    """The int64 with the bits of this unsigned 64-bit word (taken modulo 2^64)."""
    return (word + 2**63) % 2**64 - 2**63
