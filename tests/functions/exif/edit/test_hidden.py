"""Metadata in odd places: no clean copy holds them, and a reading shows them or lists them as not read."""

from __future__ import annotations

import pytest

from functions.exif.answer import document, examine
from functions.exif.edit.errors import Broken, NotClean, Unsupported
from functions.exif.edit.strip import strip
from tests.functions.exif.hidden import HIDDEN, NAME, traces


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
