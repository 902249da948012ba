"""Weight files are told apart by their content, wherever a config names them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from wsssbench.experiment.fingerprint import weight_checksums


def test_every_file_that_a_config_names(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("a.pth", "b.params")}
    for path in files.values():
        path.write_bytes(path.name.encode() * 1000)
    config = {
        "classifier": {"backbone": {"type": "X", "weights": str(files["a.pth"])}},
        "erasing": [
            {"weights": "imagenet"},
            {"weights": None},
            {"init": {"weights": str(files["b.params"])}},
        ],
        "weights": str(tmp_path / "missing.pth"),
    }
    expected = {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files.values()
    }
    assert weight_checksums(config) == expected


def test_another_content_is_another_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"one")
    before = weight_checksums({"weights": str(path)})
    path.write_bytes(b"two, and of another size")
    assert weight_checksums({"weights": str(path)}) != before
