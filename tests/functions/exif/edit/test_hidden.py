"""Metadata in odd places: no clean copy holds them, and a reading shows them or lists them as not read."""

from __future__ import annotations

import struct
import zlib

import pytest

from functions.exif.answer import document, examine
from functions.exif.edit.errors import Broken, NotClean, Unsupported
from functions.exif.edit.strip import strip
from tests.functions.exif import cases, made
from tests.functions.exif.hidden import HIDDEN, NAME, jp2, png, traces
from tests.functions.exif.made import chunk


@pytest.mark.parametrize("case", HIDDEN)
def test_a_copy_without_the_name_or_none(case: str) -> None:
    data = HIDDEN[case]()
    try:
        copy = strip(data).data
    except (Broken, NotClean, Unsupported) as error:
        assert str(error)
        return
    assert not any(trace in copy for trace in traces())
    assert strip(copy).data == copy


@pytest.mark.parametrize("case", HIDDEN)
def test_a_reading_has_the_name_or_states_what_it_did_not_read(case: str) -> None:
    reading = examine(HIDDEN[case]())
    assert reading is not None
    answer = document(reading)
    # Tags of PNG texts are their keywords without spaces.
    assert (
        NAME.decode() in str(answer)
        or "ErikaMustermann" in answer["groups"].get("PNG", {})
        or answer["privacy"]["not_read"]
    )


def test_a_text_at_the_end_of_a_scan_is_named_by_both() -> None:
    plain = cases.picture()
    data = plain[:-2] + NAME + plain[-2:]
    reading = examine(data)
    assert reading is not None
    (part,) = document(reading)["privacy"]["not_read"]
    # Bytes of codes may be characters, too.
    assert part["bytes"] >= len(NAME)
    assert any("text at the end" in warning for warning in strip(data).warnings)


def test_a_profile_that_lacks_its_checksum_alone_is_read() -> None:
    content = made.profile()
    for size, read in ((-4, True), (-40, False)):
        data = png(chunk(b"iCCP", b"icc\0\0" + zlib.compress(content)[:size]))
        reading = examine(data)
        assert reading is not None
        assert (document(reading)["privacy"]["not_read"] == []) is read


def test_a_last_codestream_that_runs_over_the_end_is_copied_as_it_is() -> None:
    plain = jp2()
    at = plain.index(b"jp2c") - 4
    (size,) = struct.unpack_from(">I", plain, at)
    assert at + size == len(plain)
    longer = plain[:at] + struct.pack(">I", size + 100) + plain[at + 4 :]
    copy = strip(longer).data
    assert copy.endswith(plain[-200:])
    assert strip(copy).data == copy
