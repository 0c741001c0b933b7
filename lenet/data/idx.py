"""The IDX file format of MNIST, raw or gzip, read and written with NumPy alone.

Source: the format's description on Yann LeCun's MNIST page: two zero bytes, a byte for the
type, a byte for the number of dimensions, each dimension as a big-endian 32-bit integer,
then the values in C order, big-endian.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

DTYPES = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path | str) -> np.ndarray:
    """Reads one IDX file.

    Args:
        path: the file; gzip is told by its content, not by its name.

    Returns:
        An array of the shape and type the header names, in the machine's byte order.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no IDX file, its gzip is damaged, or it holds more or
            fewer bytes than its header promises; the message names the file.
    """
    content = Path(path).read_bytes()
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"Expected {path} to be a whole gzip file. It is truncated or damaged ({error}): "
                "fetch it again."
            ) from error
    return parse_idx(content, str(path))


def parse_idx(content: bytes, name: str) -> np.ndarray:
    """Decodes the bytes of an IDX file; `name` says in errors where they came from.

    Raises:
        ValueError: as `read_idx`.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in DTYPES:
        raise ValueError(
            f"Expected {name} to be an IDX file (two zero bytes, then a type). "
            f"Received: {content[:4].hex(' ') or 'an empty file'}"
        )
    dtype, rank = DTYPES[content[2]], content[3]
    start = 4 + 4 * rank
    if len(content) < start:
        raise ValueError(f"Expected {name} to hold {rank} dimensions. It ends inside its header.")
    shape = struct.unpack(f">{rank}I", content[4:start])
    promised, received = math.prod(shape) * dtype.itemsize, len(content) - start
    if promised != received:
        raise ValueError(
            f"Expected {name} to hold {promised:,} bytes of data, as its header says "
            f"({' x '.join(map(str, shape))}). Received: {received:,} bytes"
        )
    return (
        np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
    )


def write_idx(path: Path | str, array: np.ndarray) -> None:
    """Writes an array as one IDX file, gzip where the name ends in `.gz`.

    Raises:
        ValueError: the format has no such type.
    """
    codes = {dtype.newbyteorder("="): code for code, dtype in DTYPES.items()}
    if array.dtype not in codes:
        raise ValueError(f"Expected a type IDX can hold. Received: dtype={array.dtype}")
    code = codes[array.dtype]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = header + array.astype(DTYPES[code]).tobytes()
    path = Path(path)
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
