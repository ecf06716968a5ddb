import stat

import pytest

from tabveil.errors import KeyUnavailableError
from tabveil.pii import load_key

ENV = "TABVEIL_TEST_KEY"


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(ENV, raising=False)


def test_key_is_made_once_with_mode_0600(tmp_path):
    path = tmp_path / "private" / "pseudonym.key"
    key = load_key(ENV, path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(ENV, path) == key
    assert [p.name for p in path.parent.iterdir()] == ["pseudonym.key"]


def test_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(ENV, "ab" * 32)
    assert load_key(ENV, tmp_path / "k") == b"\xab" * 32
    assert not (tmp_path / "k").exists()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_file_open_to_others_is_refused(tmp_path, mode):
    path = tmp_path / "k"
    load_key(ENV, path)
    path.chmod(mode)
    with pytest.raises(KeyUnavailableError, match=f"{mode:04o}"):
        load_key(ENV, path)


@pytest.mark.parametrize(
    ("text", "message"), [("ab" * 8, "at least 32 bytes, however it holds 8"), ("xyz", "hexadecimal")]
)
def test_bad_key_is_refused_and_not_shown(tmp_path, monkeypatch, text, message):
    monkeypatch.setenv(ENV, text)
    with pytest.raises(KeyUnavailableError, match=message) as caught:
        load_key(ENV, tmp_path / "k")
    assert text not in str(caught.value)
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(0o600)
    monkeypatch.delenv(ENV)
    with pytest.raises(KeyUnavailableError, match=message):
        load_key(ENV, path)


def test_folder_in_place_of_the_key_is_one_clear_error(tmp_path):
    with pytest.raises(KeyUnavailableError, match=ENV):
        load_key(ENV, tmp_path)
