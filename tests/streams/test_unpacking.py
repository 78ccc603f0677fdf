"""What aiokafka's own decoders make, up to the bound; beyond it an error, and hardly more memory than the bound."""

import gzip
import os
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from aiokafka.codec import gzip_decode, gzip_encode, zstd_decode, zstd_encode
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from streams import unpacking
from streams.unpacking import UnpackedTooLargeError, bound_unpacking, unpack_gzip, unpack_zstd

Codec = Callable[[bytes], bytes]
BOUND = 1 << 20


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "UNPACKED_BYTES_MAX", BOUND)


@given(st.binary(max_size=5_000), st.integers(1, 3))
def test_differential_it_is_what_aiokafka_makes(content: bytes, times: int) -> None:
    """Also of several frames one behind the other."""
    for pack, stock, ours in ((zstd_encode, zstd_decode, unpack_zstd), (gzip_encode, gzip_decode, unpack_gzip)):
        packed = pack(content) * times
        assert ours(packed) == stock(packed) == content * times


@pytest.mark.parametrize(
    ("pack", "unpack"),
    [
        (zstd_encode, unpack_zstd),
        (zstandard.ZstdCompressor(write_content_size=False).compress, unpack_zstd),
        (gzip.compress, unpack_gzip),
    ],
)
def test_a_bomb_takes_no_more_memory_than_the_bound(pack: Codec, unpack: Codec) -> None:
    """Whether its size is written in front of it or not."""
    fits, bomb = pack(b"x" * BOUND), pack(b"x" * (100 * BOUND))
    assert unpack(fits) == b"x" * BOUND
    tracemalloc.start()
    with pytest.raises(UnpackedTooLargeError, match="more than 1 MiB"):
        unpack(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * BOUND


def test_what_was_broken_or_too_large_leaves_nothing_behind() -> None:
    """A decompressor serves again after each, in every thread."""
    good, too_large = zstd_encode(b"x" * 5_000), zstd_encode(os.urandom(2 * BOUND))
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            with pytest.raises(zstandard.ZstdError):
                unpack_zstd(good[:10] + b"?" * 20)
            with pytest.raises(UnpackedTooLargeError):
                unpack_zstd(too_large)
            assert set(threads.map(unpack_zstd, [good] * 200)) == {b"x" * 5_000}
            assert unpack_zstd(good) == b"x" * 5_000


@pytest.mark.parametrize("codec", [DefaultRecordBatch.CODEC_ZSTD, DefaultRecordBatch.CODEC_GZIP])
def test_aiokafka_unpacks_by_it(codec: int) -> None:
    """Pins the names that are replaced, in the compiled parser that consumers use."""
    bound_unpacking()
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, 0, 1 << 30)
    builder.append(0, 0, b"k", b"x" * (2 * BOUND), [])
    with pytest.raises(UnpackedTooLargeError):
        list(DefaultRecordBatch(bytearray(builder.build())))
