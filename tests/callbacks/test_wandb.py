from pathlib import Path

import pytest

from stn.callbacks.wandb import logged_in


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_nobody_is_logged_in_without_a_key() -> None:
    assert not logged_in()


def test_a_key_in_the_environment_unless_told_to_stay_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert logged_in()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not logged_in()


def test_a_login_for_the_server_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai\n  login user\n  password 0\n")
    assert logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert not logged_in()
