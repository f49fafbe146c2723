import os

import pytest

from stn.files.scrubbing import HIDDEN, scrub


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("STN_RUNS_DIR", "/scratch/ada/runs")
    monkeypatch.setenv("STN_DATA_DIR", "data")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada", "~"),
        ("/home/ada/x y/z", "~/x y/z"),
        ("a=/home/ada/b,c='/home/ada/d'", "a=~/b,c='~/d'"),
        ("file:///home/ada/b", "file://~/b"),
        ("/home/adam/b", "/home/adam/b"),
        ("/mnt/home/ada/b", "/mnt/home/ada/b"),
        ("/scratch/ada/runs/x", "$STN_RUNS_DIR/x"),
        ("data/mnist", "data/mnist"),
        ("key 0123456789abcdef!", f"key {HIDDEN}!"),
        ("WANDB_API_KEY=short python", f"WANDB_API_KEY={HIDDEN} python"),
        ("+logger.token: x1, +seed=2", f"+logger.token: {HIDDEN}, +seed=2"),
        ("num_tokens=5 tokenizer=x", "num_tokens=5 tokenizer=x"),
        ("https://ada:pw@host/x", f"https://{HIDDEN}@host/x"),
        ("ghp_" + "a" * 36, HIDDEN),
    ],
)
def test_text(text, expected):
    assert scrub(text) == expected
    assert scrub(scrub(text)) == expected


def test_working_folder_becomes_a_point():
    assert scrub(f"{os.getcwd()}/runs/a") == "./runs/a"


def test_containers_keep_their_shape():
    value = {"api_key": "x", "token": None, "n": [1, 2.5, {"p": ("/home/ada/a", True)}]}
    assert scrub(value) == {"api_key": HIDDEN, "token": None, "n": [1, 2.5, {"p": ["~/a", True]}]}


def test_home_at_the_root_replaces_nothing(monkeypatch):
    monkeypatch.setenv("HOME", "/")
    assert scrub("/data/mnist /") == "/data/mnist /"
