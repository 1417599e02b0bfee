"""A bundle comes back as it was written, or not at all; reading one can't run code."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from decision.bundle.manifest import Manifest
from decision.bundle.store import Bundle, BundleStore, pack, unpack
from decision.errors import InvalidBundle, NotFound
from tests import support


def test_a_bundle_comes_back_as_it_was_written(bundles: BundleStore) -> None:
    described = support.manifest(heads={"repurchase": "forest", "visit": "linear"})
    arrays = support.arrays(described)
    written = bundles.write(described, arrays)
    found = bundles.read(written.version)
    assert found.manifest == written.manifest
    assert found.manifest.version.startswith("20260303-")
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    assert bundles.versions() == [written.version]
    assert [p.name for p in bundles.root.iterdir()] == [written.version], "no draft is left behind"


def test_the_same_content_is_the_same_version(bundles: BundleStore, bundle: Bundle) -> None:
    assert support.write_bundle(bundles).version == bundle.version
    assert bundles.versions() == [bundle.version]
    assert support.write_bundle(bundles, support.manifest(seed=8)).version != bundle.version
    assert support.write_bundle(bundles, seed=4).version != bundle.version


def test_equal_arrays_are_equal_bytes_whatever_their_order_and_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = np.arange(5.0), np.eye(3)
    first = pack({"a": a, "b": b})
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert pack({"b": b, "a": a}) == first


def test_versions_come_in_the_order_of_writing(bundles: BundleStore) -> None:
    assert bundles.versions() == []
    written = [support.write_bundle(bundles, seed=seed).version for seed in range(3)]
    for place, version in enumerate(written):
        os.utime(bundles.root / version, (place, place))
    (bundles.root / ".draft-x").mkdir()
    assert bundles.versions() == written


def test_an_unknown_version_names_those_that_are_known(bundles: BundleStore, bundle: Bundle) -> None:
    with pytest.raises(NotFound, match=f"Known: {bundle.version}"):
        bundles.read("20260101-nothing")


@pytest.mark.parametrize("version", ["../home", "", ".", "a/b", "/etc"])
def test_no_version_leads_out_of_the_store(bundles: BundleStore, bundle: Bundle, version: str) -> None:
    with pytest.raises((NotFound, InvalidBundle)):
        bundles.read(version)


def folder(bundles: BundleStore, bundle: Bundle) -> Path:
    return bundles.root / bundle.version


@pytest.mark.parametrize("place", [0, 100, -1])
def test_altered_arrays_are_refused(bundles: BundleStore, bundle: Bundle, place: int) -> None:
    path = folder(bundles, bundle) / "arrays.npz"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InvalidBundle, match="altered"):
        bundles.read(bundle.version)


ALTERED = [
    ("policy", "greedy_uplift", "altered"),
    ("draws", 5, "altered"),
    ("actions", ("control",), "altered"),
    ("version", "20260303-0000000000", "altered"),
    ("arrays_sha256", "0" * 64, "altered"),
    ("format", 2, "format 1, found 2"),
    ("policy", "oracle", "found 'oracle'"),
]


@pytest.mark.parametrize(("field", "value", "sentence"), ALTERED)
def test_an_altered_manifest_is_refused(
    bundles: BundleStore, bundle: Bundle, field: str, value: object, sentence: str
) -> None:
    other = msgspec.structs.replace(bundle.manifest, **{field: value})
    (folder(bundles, bundle) / "manifest.json").write_bytes(msgspec.json.encode(other))
    with pytest.raises(InvalidBundle, match=sentence):
        bundles.read(bundle.version)


def test_a_renamed_bundle_is_refused(bundles: BundleStore, bundle: Bundle) -> None:
    folder(bundles, bundle).rename(bundles.root / "20260303-ffffffffff")
    with pytest.raises(InvalidBundle, match="match its version"):
        bundles.read("20260303-ffffffffff")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"format": "1"}', b"\xff", b'{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(bundles: BundleStore, bundle: Bundle, text: bytes) -> None:
    (folder(bundles, bundle) / "manifest.json").write_bytes(text)
    with pytest.raises(InvalidBundle, match="Expected a manifest"):
        bundles.read(bundle.version)


def test_a_manifest_with_a_field_of_a_newer_version_is_refused(bundles: BundleStore, bundle: Bundle) -> None:
    path = folder(bundles, bundle) / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"format"', b'"shape": 1, "format"', 1))
    with pytest.raises(InvalidBundle, match="shape"):
        bundles.read(bundle.version)


@pytest.mark.parametrize("name", ["manifest.json", "arrays.npz"])
def test_a_missing_file_is_not_found(bundles: BundleStore, bundle: Bundle, name: str) -> None:
    (folder(bundles, bundle) / name).unlink()
    with pytest.raises(NotFound):
        bundles.read(bundle.version)


def test_objects_are_not_written() -> None:
    with pytest.raises(InvalidBundle, match="found objects"):
        pack({"a": np.array([object()])})


class Bomb:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)
    return buffer.getvalue()


def objects(value: object) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([value], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def test_reading_a_malicious_bundle_runs_nothing(bundles: BundleStore, tmp_path: Path) -> None:
    """Its hashes are right: whoever wrote it wrote the manifest as well."""
    trace = tmp_path / "trace"
    bomb = pickle.dumps(Bomb(trace))
    for data in (bomb, archive(a=objects(Bomb(trace))), archive(a=bomb), objects(Bomb(trace))):
        bare = support.manifest(arrays_sha256=hashlib.sha256(data).hexdigest()).versioned()
        place = bundles.root / bare.version
        place.mkdir(parents=True)
        (place / "manifest.json").write_bytes(msgspec.json.encode(bare))
        (place / "arrays.npz").write_bytes(data)
        with pytest.raises(InvalidBundle, match="plain arrays"):
            bundles.read(bare.version)
    assert not trace.exists()
    pickle.loads(bomb)
    assert trace.exists(), "the bomb works where it is let"


def plain() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3.0))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"PK", b"PK\x03\x04" + b"x" * 50, plain(), archive(a=b""), archive(a=plain()[:-3]), archive(a=b"text")],
)
def test_what_is_no_archive_of_arrays_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidBundle, match="plain arrays"):
        unpack(data)


def test_an_archive_that_numpy_wrote_is_read() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3.0), b=np.array(2))
    assert {name: array.tolist() for name, array in unpack(buffer.getvalue()).items()} == {"a": [0.0, 1.0, 2.0], "b": 2}


def test_the_manifest_says_what_it_was_made_of(bundle: Bundle) -> None:
    text = msgspec.json.encode(bundle.manifest)
    assert msgspec.json.decode(text, type=Manifest) == bundle.manifest
    assert bundle.manifest.versioned() == bundle.manifest
