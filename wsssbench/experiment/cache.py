"""The content-hash cache: one directory per stage result, complete once its manifest is there.

``cache/<stage>/<hash>/`` holds a stage's artefacts; `manifest.json` is written last. A directory without one is work
that was interrupted: whole artefacts in it are used, the rest is made. On reuse every file is compared with the
manifest (size and time; content checksum if those differ), and what does not match is removed and made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # pydantic asks for it below Python 3.12

from wsssbench.errors import UserError
from wsssbench.files.atomic import remove_partials, write_json
from wsssbench.files.records import checked, parse_json

MANIFEST = "manifest.json"
INTENT = "intent.json"  # the key of a directory that is not complete yet
LOG = ".log"  # what libraries say, with times: another log is no other result
FORMAT = 2  # of keys; another one makes every entry anew
_SEAL = (
    "seal"  # of a manifest: the checksum of the rest of it, without the files, which have their own
)


def _check_name(name: str) -> str:
    path = PurePosixPath(name)
    if "\0" in name or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"{name!r} leads out of the folder of its stage")
    return name


FileName = Annotated[str, AfterValidator(_check_name)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Manifest(TypedDict, total=False):
    """What a manifest says; earlier versions of the toolkit left entries out.

    `files` are name -> size, time of the last change and checksum. `seconds` were taken on `device`, for `images`
    images, and for all of the work if it is `whole`.
    """

    format: int
    stage: str
    config: dict[str, Any]
    code: dict[str, str]
    upstream: dict[str, str]
    data: str
    node: str
    seconds: Amount
    peak_mib: Amount
    device: str
    images: int | None
    whole: bool
    result: dict[str, Any]
    read: dict[str, str | None]
    content: str
    files: dict[FileName, tuple[int, int, int]]


@dataclass(frozen=True)
class Key:
    """All that a stage's result depends on. Workers, device, launcher and logging are not in it.

    Nothing in it is a name that could be another: stages that are read go by their role, weight files by their
    checksum, and titles are left out. So the same work is the same entry, whatever an experiment calls it.

    Attributes:
        stage: kind of work.
        config: resolved; references as what they have to make, weight files as their checksums.
        code: version of each package whose code takes part.
        upstream: role of a stage it reads -> that one's hash.
        data: fingerprint of the images, labels and masks it reads.
    """

    stage: str
    config: Mapping[str, Any]
    code: Mapping[str, str]
    upstream: Mapping[str, str]
    data: str

    @property
    def hash(self) -> str:
        """The name of its directory, 16 hex digits."""
        return hashlib.sha256(canonical(self.as_dict()).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "stage": self.stage,
            "config": self.config,
            "code": self.code,
            "upstream": self.upstream,
            "data": self.data,
        }


def canonical(value: Any) -> str:
    """Return `value` as JSON text that does not depend on key order or on list versus tuple."""
    return json.dumps(value, sort_keys=True, default=list)


@dataclass(frozen=True)
class Entry:
    """The place of one stage result.

    Attributes:
        root: of the cache.
        key: what the result depends on.
        node: the stage's name in the experiment.
        reads: role -> the name of the stage that it reads, for sentences.
    """

    root: Path
    key: Key
    node: str = ""
    reads: Mapping[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return self.root / self.key.stage / self.key.hash

    @property
    def lock(self) -> Path:
        """The file whose lock the process holds that makes this result; beside the directory, which may be removed."""
        return self.root / self.key.stage / f"{self.key.hash}.lock"

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest if the stage is complete, else None: a damaged one is none."""
        manifest = _read_manifest(self.directory / MANIFEST)
        return manifest if manifest is not None and "files" in manifest else None

    def started(self) -> bool:
        """Tell whether there is interrupted work."""
        return (self.directory / INTENT).is_file() and self.manifest() is None

    def open(self, read: Mapping[str, str | None] | None = None) -> None:
        """Make the directory ready for work: note the key and what is read, sweep half-written files away.

        Args:
            read: role -> `content` of what the work starts from.

        Raises:
            UserError: something in it is a link, through which the work would change files elsewhere.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        inside = list(self.directory.rglob("*"))
        for path in inside:
            if path.is_symlink():
                raise UserError(
                    f"{path} is a link to {path.readlink()}: a stage writes to files of its own, so remove it"
                )
        write_json(self.directory / INTENT, {**self.key.as_dict(), "read": dict(read or {})})
        for folder in (self.directory, *(path for path in inside if path.is_dir())):
            remove_partials(folder)

    def close(self, result: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Declare the stage complete: checksum its files and write the manifest.

        What it has read is what it was opened with: whatever was made again meanwhile makes it outdated.

        Args:
            result: its figures.
            facts: about this time: node, seconds, peak memory.
        """
        files = {
            str(path.relative_to(self.directory)): _fingerprint(path)
            for path in sorted(self.directory.rglob("*"))
            if path.is_file() and path.name not in (MANIFEST, INTENT)
        }
        sums = [
            [name, size, checksum]
            for name, (size, _, checksum) in files.items()
            if not name.endswith(LOG)
        ]
        manifest = {
            **self.key.as_dict(),
            **facts,
            "result": dict(result),
            "read": (_read_manifest(self.directory / INTENT) or {}).get("read", {}),
            "content": hashlib.sha256(canonical(sums).encode()).hexdigest()[:16],
        }
        seal = _seal(json.loads(canonical(manifest)))
        write_json(self.directory / MANIFEST, {**manifest, _SEAL: seal, "files": files})

    def content(self) -> str | None:
        """Return 16 hex digits over the files of a complete stage, without logs; None if it is not complete."""
        return (_summary(self.directory / MANIFEST) or {}).get("content")

    def outdated(self, contents: Mapping[str, str | None]) -> list[str]:
        """Return the stages it has read that were made again since, and came out differently, by name.

        Of interrupted work, too: what it has left already was made from what it read then.

        Args:
            contents: role -> `content` of what it reads now; None for what is not complete.
        """
        noted = _summary(self.directory / MANIFEST) or _read_manifest(self.directory / INTENT) or {}
        read = noted.get("read") or {}
        return [
            self.reads.get(role, role)
            for role, content in contents.items()
            if content is not None and read.get(role) != content
        ]

    def damage(self) -> list[str]:
        """List the files of a complete stage that are missing or differ from what was written."""
        manifest = self.manifest()
        if manifest is None:
            return []
        return [
            name
            for name, (size, time, checksum) in manifest["files"].items()
            if not _unchanged(self.directory / name, size, time, checksum)
        ]

    def reopen(self, damaged: list[str]) -> None:
        """Remove `damaged` files and the manifest, so that the stage makes them again.

        Nothing outside its own folder is removed, also where a folder in it is a link.
        """
        (self.directory / MANIFEST).unlink(missing_ok=True)
        root = self.directory.resolve()
        for name in damaged:
            path = self.directory / name
            if path.parent.resolve().is_relative_to(root):
                path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget this result."""
        if self.directory.is_symlink():
            self.directory.unlink()
        shutil.rmtree(self.directory, ignore_errors=True)

    def reason(self) -> str:
        """Say why this has to be computed, by comparison with the most similar earlier result of the same node."""
        changes = self._most_similar()
        if changes is None:
            return "no earlier result"
        return "; ".join(changes[:3]) + (" ..." if len(changes) > 3 else "")

    def seconds(self) -> float | None:
        """Return the wall time in which this result was made; None if there is none."""
        manifest = self.manifest() or {}
        return manifest.get("seconds")

    def earlier(self) -> Iterator[dict[str, Any]]:
        """Yield the manifests of this kind of stage."""
        for path in sorted((self.root / self.key.stage).glob("*/")):
            if (earlier := _summary(path / MANIFEST)) is not None:
                yield earlier

    def _most_similar(self) -> list[str] | None:
        """List what changed since the earlier result of the node with the fewest changes; None if there is none."""
        now = json.loads(canonical(self.key.as_dict()))
        found = [
            _changes(earlier, now, self.reads)
            for earlier in self.earlier()
            if earlier.get("node", "") == self.node
        ]
        return min(found, key=len, default=None)


def summary_of(root: Path, digest: str) -> dict[str, Any] | None:
    """Return the manifest, without files, of the result with the hash `digest` in the cache at `root`, of any kind."""
    return next(filter(None, map(_summary, root.glob(f"*/{digest}/{MANIFEST}"))), None)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Return the manifest of the stage result in `directory`.

    Raises:
        UserError: there is none, or it is damaged.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise UserError(f"{directory} has no {MANIFEST}: the stage's result is not complete")
    manifest = _read_manifest(path)
    if manifest is None:
        raise UserError(f"{path} is damaged: run the experiment again, which keeps what is whole")
    return manifest


def read_entry_sizes(directory: Path) -> list[int] | None:
    """Return the bytes of each file of the complete result in `directory` by its manifest; None if that is damaged."""
    files = (_read_manifest(directory / MANIFEST) or {}).get("files")
    return None if files is None else [size for size, *_ in files.values()]


def _summary(path: Path) -> dict[str, Any] | None:
    """Return a manifest without its list of files; a matrix looks at the same ones again and again."""
    try:
        return _read_summary(path, path.stat().st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _read_summary(path: Path, _: int) -> dict[str, Any] | None:
    manifest = _read_manifest(path)
    if manifest is not None:
        manifest.pop("files", None)
    return manifest


def _changes(
    earlier: Mapping[str, Any], now: Mapping[str, Any], reads: Mapping[str, str]
) -> list[str]:
    changes = []
    if earlier.get("format") != now["format"]:
        return ["it was made by an earlier version of the toolkit"]
    old, new = _flat(earlier.get("config", {})), _flat(now["config"])
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            changes.append(f"{name} changed {_show(old.get(name))} -> {_show(new.get(name))}")
    for package, release in now["code"].items():
        before = earlier.get("code", {}).get(package)
        if before != release:
            changes.append(f"code of {package} changed")
    for role, digest in now["upstream"].items():
        if earlier.get("upstream", {}).get(role) != digest:
            changes.append(f"{reads.get(role, role)} changed")
    if earlier.get("data") != now["data"]:
        changes.append("the data changed")
    return changes


def _show(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value}
    result: dict[str, Any] = {}
    for key, item in value.items():
        result.update(_flat(item, f"{prefix}.{key}".lstrip(".")))
    return result


def _fingerprint(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, _checksum(path)


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            value = zlib.crc32(block, value)
    return value


def _unchanged(path: Path, size: int, time: int, checksum: int) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != size:
        return False
    return stat.st_mtime_ns == time or _checksum(path) == checksum


def _read_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest, or the key of interrupted work, at `path`; None if there is none, or if it is damaged."""
    try:
        content = parse_json(path.read_bytes())
        manifest = cast(dict[str, Any], checked(Manifest, content))
    except (OSError, ValueError):
        return None
    if content.get(_SEAL, sealed := _seal(content)) != sealed:
        return None
    return manifest


def _seal(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key not in ("files", _SEAL)}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()[:16]
