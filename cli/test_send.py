"""`llmscope send` says what became of every line, and a file sent twice is the same rows."""

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import zstandard

from cli.conftest import RunCli, Served
from deploy.local.environment import ROOT
from ingest_api.stream import COUNTERS, connect
from tests.running import wait_until

EVENT = {
    "provider_name": "openai",
    "request_model": "gpt-4o",
    "started_at": "2026-11-22T10:00:00Z",
    "input_tokens": 3,
}


def ndjson(count: int) -> bytes:
    """So many equal events, with blank lines and Windows line ends between them."""
    return b"".join(
        json.dumps(EVENT).encode() + (b"\r\n\n" if n % 9 else b"\n") for n in range(count)
    )


def test_a_file_sent_three_times_in_three_encodings_is_the_same_rows(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    content = ndjson(1203)
    # Two members and two frames: what concatenated files look like.
    middle = content.index(b"\n", 5000) + 1
    parts = content[:middle], content[middle:]
    compress = zstandard.ZstdCompressor().compress
    (tmp_path / "a.ndjson").write_bytes(content)
    (tmp_path / "a.ndjson.gz").write_bytes(b"".join(map(gzip.compress, parts)))
    (tmp_path / "a.ndjson.zst").write_bytes(b"".join(map(compress, parts)))

    for name in ("a.ndjson", "a.ndjson.gz", "a.ndjson.zst"):
        ended = run_cli("send", str(tmp_path / name))
        assert (ended.exit_code, ended.stdout) == (0, "")
        assert ended.stderr.startswith("1,203 accepted, 0 rejected")
    assert run_cli("send", "-", "--skip", "2", stdin=content).exit_code == 0

    served.load()
    assert served.query("select count(*) from raw.llm_events") == [(1203,)]


def test_each_rejected_line_is_named_and_its_neighbours_pass(
    served: Served, run_cli: RunCli, tmp_path: Path
) -> None:
    lines = ndjson(6).splitlines()
    lines = [line for line in lines if line]
    lines[1] = json.dumps(EVENT | {"input_tokens": "many"}).encode()
    lines[3] = b"no json"
    lines[4] = json.dumps(EVENT | {"color": "blue"}).encode()
    file = tmp_path / "events.ndjson"
    file.write_bytes(b"\n".join(lines))

    ended = run_cli("send", str(file))

    assert ended.exit_code == 2
    assert "line 2: input_tokens: " in ended.stderr
    assert "line 4: " in ended.stderr
    assert "line 5: color: is not a field" in ended.stderr
    assert "3 accepted, 3 rejected" in ended.stderr
    to_file = tmp_path / "rejected.ndjson"
    assert run_cli("send", str(file), "--rejected", str(to_file)).exit_code == 2
    found = [json.loads(line) for line in to_file.read_text().splitlines()]
    assert [(one["line"], one["field"]) for one in found] == [
        (2, "input_tokens"), (4, ""), (5, "color"),
    ]  # fmt: skip
    assert all(one["reason"] for one in found)
    served.load()
    assert served.query("select count(*) from raw.llm_events") == [(3,)]


def test_a_batch_of_bad_lines_alone_stops_nothing(served: Served, run_cli: RunCli) -> None:
    ended = run_cli("send", "-", "--batch-events", "2", stdin=b"{}\n{}\n" + ndjson(2))
    assert ended.exit_code == 2
    assert "2 accepted, 2 rejected" in ended.stderr


def test_ctrl_c_says_what_is_acknowledged_and_how_to_go_on(served: Served) -> None:
    command = [sys.executable, "-m", "cli", "send", "-", "--batch-events", "10"]
    sending = subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert sending.stdin is not None
    # Ten lines wait for the rest of their batch when the signal comes.
    sending.stdin.write(b"\n".join([json.dumps(EVENT).encode()] * 25) + b"\n")
    sending.stdin.flush()
    with connect(served.settings.redis_url) as client:
        wait_until(
            lambda: client.hget(COUNTERS, "accepted_events") == b"20", "two batches arrive", 60
        )
    sending.send_signal(signal.SIGINT)
    _, stderr = sending.communicate(timeout=60)

    assert sending.returncode == 130
    assert b"go on with `llmscope send - --skip " in stderr
    assert b"Traceback" not in stderr


def test_what_stops_it_is_one_sentence_with_the_fix(
    served: Served, run_cli: RunCli, tmp_path: Path, monkeypatch
) -> None:
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(ndjson(9))[:-9])
    cases = [
        (["send", "-"], b" [1]", "send one event a line"),
        (["send", str(tmp_path / "none")], b"", "none cannot be read: No such file"),
        (["send", str(damaged)], b"", "cannot be read behind line"),
        (["send", "-"], b"x" * 5_300_000, "Line 1 is longer than 5 MiB"),
    ]
    for arguments, stdin, words in cases:
        ended = run_cli(*arguments, stdin=stdin)
        assert (ended.exit_code, ended.stdout) == (1, "")
        assert words in ended.stderr.splitlines()[-1]
    monkeypatch.setenv("LLMSCOPE_API_KEY", "llms_wrong")
    ended = run_cli("send", "-", stdin=ndjson(1))
    assert (ended.exit_code, "All lines up to 0" in ended.stderr) == (1, True)
    assert "The API answered 401: The API key is unknown" in ended.stderr
    monkeypatch.setenv("LLMSCOPE_URL", "http://127.0.0.1:1")
    ended = run_cli("send", "-", "--give-up-after", "0", stdin=ndjson(1))
    assert ended.exit_code == 1
    assert "does not answer at http://127.0.0.1:1" in ended.stderr


def test_an_empty_input_is_no_fault(served: Served, run_cli: RunCli) -> None:
    ended = run_cli("send", "-", stdin=b"\n\n")
    assert ended.exit_code == 0
    assert "0 accepted, 0 rejected" in ended.stderr
