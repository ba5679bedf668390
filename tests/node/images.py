"""Images as OCI archives without compression: made of programs, or of an archive with compression.

Unpacking gzip takes the emulated node minutes. Source: opencontainers/image-spec, v1.
"""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_INDEX: Final = "application/vnd.oci.image.index.v1+json"
_NAME: Final = "io.containerd.image.name"
_PLATFORM: Final = {"architecture": "amd64", "os": "linux"}
_FOLDERS: Final = ("tmp", "proc", "sys", "dev", "etc", "run", "var")
_LINKS: Final = {"var/run": "/run"}
"""containerd names pods' namespaces below /var/run, and manifests mount /run."""
_WHITEOUT: Final = ".wh."
"""Before the name of a file that a layer deletes: opencontainers/image-spec, layer.md."""
_USERS: Final = b"root:x:0:0:root:/root:/bin/sh\n"
"""etc/passwd: Multus' daemon asks who it is, and ends where nobody says."""


class Archive:
    """An OCI archive that is being written, blob by blob."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._tar = tarfile.open(file, "w")  # noqa: SIM115 - closed by `finish`
        self._add("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')

    def add(self, media_type: str, content: bytes) -> dict[str, Any]:
        """Add a blob; return its descriptor."""
        digest = hashlib.sha256(content).hexdigest()
        self._add(f"blobs/sha256/{digest}", content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def finish(self, name: str, config: Mapping[str, Any], layers: list[dict[str, Any]]) -> None:
        """Write the manifest of an image of these layers, and the index that names it."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self.add(_CONFIG, _encode(config)),
            "layers": layers,
        }
        named = self.add(_MANIFEST, _encode(manifest)) | {"annotations": {_NAME: name}}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}
        self._add("index.json", _encode(index))
        self._tar.close()

    def _add(self, path: str, content: bytes) -> None:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        self._tar.addfile(entry, io.BytesIO(content))


def of_programs(archive: Path, name: str, programs: Mapping[str, Path], *arguments: str) -> None:
    """Write an image of programs by their paths in it; it runs the first with the arguments."""
    layer = _layer_of_programs(programs)
    diff = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        **_PLATFORM,
        "config": {"Entrypoint": [next(iter(programs)), *arguments], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [diff]},
    }
    made = Archive(archive)
    made.finish(name, config, [made.add(_LAYER, layer)])


def _layer_of_programs(programs: Mapping[str, Path]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in _FOLDERS:
            folder = tarfile.TarInfo(path)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        for path, target in _LINKS.items():
            link = tarfile.TarInfo(path)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        _put(tar, "etc/passwd", _USERS)
        for path, program in programs.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = program.stat().st_size, 0o755
            with program.open("rb") as stream:
                tar.addfile(entry, stream)
    return content.getvalue()


def uncompressed(
    source: Path, archive: Path, name: str, changes: Mapping[str, bytes | None] | None = None
) -> None:
    """Write an archive's one image again, without compression, by this name.

    `changes` are a further layer: files by their paths, None for one that is deleted.
    """
    with tarfile.open(source) as tar:
        manifest, config = _image(tar)
        made = Archive(archive)
        contents = [_plain(_blob(tar, layer)) for layer in manifest["layers"]]
        if changes:
            contents.append(_layer_of_changes(changes))
            config["rootfs"]["diff_ids"].append(
                f"sha256:{hashlib.sha256(contents[-1]).hexdigest()}"
            )
        made.finish(name, config, [made.add(_LAYER, content) for content in contents])


def find(source: Path, pattern: str) -> tuple[str, bytes]:
    """Return the path and the content of the first file of an archive's image that matches."""
    with tarfile.open(source) as tar:
        for descriptor in _image(tar)[0]["layers"]:
            with tarfile.open(fileobj=io.BytesIO(_plain(_blob(tar, descriptor)))) as layer:
                for path in (path for path in layer.getnames() if re.search(pattern, path)):
                    return path, _read(layer, path)
    raise FileNotFoundError(pattern)


def _layer_of_changes(changes: Mapping[str, bytes | None]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path, text in changes.items():
            folder, _, file = path.rpartition("/")
            _put(tar, f"{folder}/{_WHITEOUT}{file}" if text is None else path, text or b"")
    return content.getvalue()


def _put(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), 0o755
    tar.addfile(entry, io.BytesIO(content))


def _image(tar: tarfile.TarFile) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the manifest and the configuration of an archive's one image."""
    (named,) = json.loads(_read(tar, "index.json"))["manifests"]
    manifest = json.loads(_blob(tar, named))
    return manifest, json.loads(_blob(tar, manifest["config"]))


def _blob(tar: tarfile.TarFile, descriptor: Mapping[str, Any]) -> bytes:
    return _read(tar, f"blobs/sha256/{descriptor['digest'].removeprefix('sha256:')}")


def _read(tar: tarfile.TarFile, path: str) -> bytes:
    stream = tar.extractfile(path)
    assert stream, path
    return stream.read()


def _plain(layer: bytes) -> bytes:
    return gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer


def _encode(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
