import subprocess
import sys

import stn.transformers

WITHOUT = """
import sys
forbidden = ["lightning", "pytorch_lightning", "hydra", "omegaconf", "torchvision", "numpy",
             "scipy", "matplotlib", "wandb", "torchmetrics", "kornia", "pandas"]
for name in forbidden:
    sys.modules[name] = None  # importing it now raises ImportError
import torch
from stn.transformers import Affine, ConvLocalisation, SpatialTransformer, ThinPlateSpline
for transform in (Affine(), ThinPlateSpline()):
    layer = SpatialTransformer(ConvLocalisation((1, 28, 30), transform), transform)
    layer(torch.rand(2, 1, 28, 30)).sum().backward()
assert not [name for name in sys.modules if name.split(".")[0] == "stn"
            and name.split(".")[1:2] not in ([], ["transformers"])]
"""


def test_it_needs_nothing_but_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_documented() -> None:
    for name in stn.transformers.__all__:
        value = getattr(stn.transformers, name)
        assert name in ("KERNELS", "NOWHERE") or value.__doc__, name
