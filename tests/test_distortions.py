import sys
from pathlib import Path

import pytest
from PIL import Image

from stn import distortions as sheet

CONF = Path(__file__).parents[1] / "conf/data"


def test_the_sheet_shows_every_distortion(mnist_dir, tmp_path, monkeypatch, capsys):
    configs = sheet.distorted_columns(CONF)
    for config in configs:
        config.module.num_val = 100
        if "num_train" in config.module:
            config.module.update(num_train=400, num_test=200)
    monkeypatch.setattr(sheet, "distorted_columns", lambda conf: configs)
    path = tmp_path / "new/sheet.png"
    monkeypatch.setattr(sys, "argv", ["sheet", "--out", str(path.with_suffix("")), "--seed", "1"])
    sheet.main()
    assert capsys.readouterr().out.startswith(f"{path}: {len(configs)} distortions")
    with Image.open(path) as image:
        assert image.height > len(configs) * sheet.CELL_PX
        assert image.width > 10 * sheet.CELL_PX
        assert image.convert("L").getextrema() == (0, 255)


def test_its_rows_are_the_columns_of_the_table_small_images_first():
    labels = [config.label for config in sheet.distorted_columns(CONF)]
    assert labels[0] == "MNIST"
    assert labels[-3:] == ["RTS", "TC", "SIM2"]
    assert {"R", "P", "E", "rot-12k", "textures"} < set(labels)


def test_a_folder_without_distortions_is_named(tmp_path):
    (tmp_path / "other.yaml").write_text("name: other\n")
    with pytest.raises(ValueError, match=str(tmp_path)):
        sheet.distorted_columns(tmp_path)
