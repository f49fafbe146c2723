import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from stn.layers.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
torch.set_num_threads(1)
torch.zeros(2**22)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.zeros(2**22).add_(1)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> tuple[str, int]:
    command = [sys.executable, "-c", PROGRAM, mode]
    kept, faults = subprocess.run(
        command, capture_output=True, text=True, check=True
    ).stdout.split()
    return kept, int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_the_pages_of_a_freed_tensor_are_used_again() -> None:
    kept, faults = page_faults("keep")
    assert kept == "True"
    assert faults < page_faults("default")[1] / 5
