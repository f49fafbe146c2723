"""Models run outside PyTorch, from a file of ONNX."""

import io
import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.export import ExportedProgram

SCRIPT = Path(__file__).with_name("onnx_web.cjs")
Feeds = list[tuple[Tensor, ...]]


def onnx_file(exported: ExportedProgram) -> bytes:
    """The model as a file of ONNX."""
    pytest.importorskip("onnxscript", reason="the exporter of ONNX is not installed")
    program = torch.onnx.export(exported, dynamo=True, verbose=False)
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()


def in_onnxruntime(model: bytes, feeds: Feeds, folder: Path) -> list[Tensor]:
    """What onnxruntime makes of each feed."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    outs = []
    for args in feeds:
        (out,) = session.run(None, dict(zip(names, map(np.asarray, args), strict=True)))
        outs.append(torch.from_numpy(out))
    return outs


def in_onnxruntime_web(model: bytes, feeds: Feeds, folder: Path) -> list[Tensor]:
    """What onnxruntime-web makes of each feed, in node; its place is told by NODE_PATH."""
    node = shutil.which("node")
    find = [str(node), "-e", "require.resolve('onnxruntime-web')"]
    if not node or subprocess.run(find, capture_output=True).returncode:
        pytest.skip("node with onnxruntime-web is not here: CONTRIBUTING.md says how to get it")
    files = [folder / name for name in ("model.onnx", "request.json", "answer.json")]
    files[0].write_bytes(model)
    request = [
        [{"dims": [*x.shape], "data": b64encode(x.numpy().tobytes()).decode()} for x in args]
        for args in feeds
    ]
    files[1].write_text(json.dumps(request))
    done = subprocess.run([node, str(SCRIPT), *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(files[2].read_text())
    return [
        torch.frombuffer(bytearray(b64decode(answer["data"])), dtype=torch.float32).view(
            answer["dims"]
        )
        for answer in answers
    ]


RUNTIMES: dict[str, Callable[[bytes, Feeds, Path], list[Tensor]]] = {
    "onnxruntime": in_onnxruntime,
    "onnxruntime-web": in_onnxruntime_web,
}
every_runtime = pytest.mark.parametrize("runtime", RUNTIMES)
