import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.kit.http.body import Body
from functions.kit.http.problems import Problem
from functions.kit.http.settings import Settings
from functions.kit.http.uploads import Upload, read_uploads, the_image
from tests.servers import ROOT

FORM = "application/x-www-form-urlencoded"
LIMITS = Settings(function="demo", max_bytes=200_000)


def form(*parts: tuple[str, str | None, bytes], boundary: str = "B0undary") -> tuple[bytes, str]:
    """The body and Content-Type of a multipart form of (field, file name, bytes)."""
    out = b""
    for field, name, data in parts:
        file = f'; filename="{name}"\r\nContent-Type: image/png' if name is not None else ""
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{file}\r\n\r\n'.encode() + data + b"\r\n"
    return out + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def read(data: bytes, content_type: str = "", limits: Settings = LIMITS, length: bool = True) -> list[Upload]:
    body = Body(io.BytesIO(data), len(data) if length else None, limits)
    return read_uploads(body, content_type, max_files=4, options={"keep", "remove"})


@settings(max_examples=60)
@given(
    st.binary(min_size=1, max_size=200_000), st.sampled_from(["", "image/jpeg", "application/x-www-form-urlencoded"])
)
def test_a_raw_body_is_the_image_whatever_its_content_type(data: bytes, content_type: str):
    assert [upload.data for upload in read(data, content_type)] == [data]
    assert [upload.data for upload in read(data, content_type, length=False)] == [data]


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=40_000), min_size=1, max_size=4))
def test_every_file_of_a_form_comes_out_as_it_went_in(files: list[bytes]):
    body, content_type = form(*(("file", f"{n}.png", data) for n, data in enumerate(files)))
    assert [(upload.name, upload.data) for upload in read(body, content_type)] == [
        (f"{n}.png", data) for n, data in enumerate(files)
    ]


@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_a_form_cut_anywhere_is_refused_never_truncated(data: bytes, cut: int):
    body, content_type = form(("file", "a.png", data))
    cut = min(cut, len(body) - 5)
    with pytest.raises(Problem) as caught:
        read(body[:cut], content_type)
    assert caught.value.status == 400


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize("beyond", [1, 100_000])
def test_beyond_the_limit_is_413_with_limit_and_value(length: bool, beyond: int):
    with pytest.raises(Problem) as caught:
        read(b"x" * (LIMITS.max_bytes + beyond), length=length)
    assert caught.value.status == 413
    assert "200,000 bytes (DEMO_MAX_BYTES)" in caught.value.detail
    if length:
        assert f"{LIMITS.max_bytes + beyond:,}" in caught.value.detail


def test_a_body_at_the_limit_is_accepted():
    assert len(read(b"x" * LIMITS.max_bytes)[0].data) == LIMITS.max_bytes


def test_a_body_that_stops_early_is_400():
    body = Body(io.BytesIO(b"half"), 8, LIMITS)
    with pytest.raises(Problem, match="ended after 4 of 8 bytes"):
        body.read()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([("note", None, b"hello")], "has no file"),
        ([], "has no file"),
        ([("x", f"{n}.png", b"1") for n in range(5)], "more than 4 files in one request, the limit"),
    ],
)
def test_refused_forms_state_the_reason(parts: list[tuple[str, str | None, bytes]], said: str):
    with pytest.raises(Problem, match=said) as caught:
        read(*form(*parts))
    assert caught.value.status == 400


@pytest.mark.parametrize("order", [1, -1])
def test_an_option_among_the_fields_of_a_form_is_refused_never_lost(order: int):
    parts = [("file", "a.png", b"1"), ("remove", None, b"gps")][::order]
    with pytest.raises(Problem, match=r"in the query: .*\?remove=") as caught:
        read(*form(*parts))
    assert caught.value.status == 400
    assert caught.value.extensions == {"option": "remove"}


def test_any_other_field_of_a_form_is_ignored_and_so_is_the_name_of_a_file():
    files = read(*form(("submit", None, b"Send"), ("keep", "a.png", b"1"), ("note", None, b"hello")))
    assert [(upload.field, upload.data) for upload in files] == [("keep", b"1")]


@pytest.mark.parametrize("caption", ["file", "image"])
@pytest.mark.parametrize("order", [1, -1])
def test_a_text_field_named_like_the_file_is_not_a_second_file(caption: str, order: int):
    parts = [("photo", "a.png", b"1"), (caption, None, b"our boat")][::order]
    assert [(upload.field, upload.data) for upload in read(*form(*parts))] == [("photo", b"1")]


@pytest.mark.parametrize("field", ["file", "image"])
def test_a_file_may_come_without_a_name(field: str):
    (upload,) = read(*form(("note", None, b"hello"), (field, None, b"1")))
    assert (upload.data, upload.name) == (b"1", None)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"\xdcbung.jpg", "Übung.jpg"),
        ("Übung.jpg".encode(), "Übung.jpg"),
        ("à\u00a0".encode(), "à\u00a0"),
        ("写真.jpg".encode(), "写真.jpg"),
        (b"it\x92s.jpg", "it\u2019s.jpg"),
        (b"\x81.jpg", "\ufffd.jpg"),
    ],
)
def test_a_file_name_in_any_encoding_is_read(sent: bytes, name: str):
    head = b'--B\r\nContent-Disposition: form-data; name="file"; filename="' + sent + b'"\r\n\r\n'
    (upload,) = read(head + b"\xff\xd8\r\n--B--\r\n", "multipart/form-data; boundary=B")
    assert (upload.name, upload.data) == (name, b"\xff\xd8")


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=UTF-8''%e2%82%ac%20rates.jpg", "€ rates.jpg"),
        ("filename=\"EURO.jpg\"; filename*=utf-8''%e2%82%ac.jpg", "€.jpg"),
        ("filename*=iso-8859-1'en'%A3.jpg", "£.jpg"),
        ("FileName*=UTF-8''%C3%83%C2%A9.jpg", "Ã©.jpg"),
        ('filename*0="long "; filename*1="name.jpg"', "long name.jpg"),
        ("filename=\"Ü; filename*=UTF-8''x\"", "Ü; filename*=UTF-8''x"),
    ],
)
def test_extended_file_names_are_decoded(parameters: str, name: str):
    head = f'--B\r\nContent-Disposition: form-data; name="photo"; {parameters}\r\n\r\n'.encode()
    (upload,) = read(head + b"\xff\xd8\r\n--B--\r\n", "multipart/form-data; boundary=B")
    assert (upload.name, upload.data) == (name, b"\xff\xd8")


def test_an_empty_body_is_400():
    with pytest.raises(Problem, match="the body is empty") as caught:
        read(b"")
    assert caught.value.status == 400


def test_a_form_without_a_boundary_is_400():
    with pytest.raises(Problem, match="without a boundary"):
        read(b"x", "multipart/form-data")


def test_the_image_is_field_file_or_image_or_the_only_one():
    file, image, other = (Upload(b"1", field=field) for field in ("file", "image", "other"))
    assert the_image([other, image, file]) is file
    assert the_image([other, image]) is image
    assert the_image([other]) is other
    with pytest.raises(Problem, match="'other', 'other'"):
        the_image([other, other])
    with pytest.raises(Problem, match="the file is empty"):
        the_image([Upload(b"", field="file")])


def test_the_first_forms_may_come_at_once_beside_python_multipart(tmp_path: Path):
    """Its package `multipart` loads our parser by hand, and puts it where others find it before it is whole."""
    source = importlib.util.find_spec("multipart").origin
    if "parse_options_header" not in Path(source).read_text():  # that package is in this environment: beside it ours
        source = str(Path(source).parents[1] / "multipart.py")
    (tmp_path / "multipart").mkdir()
    (tmp_path / "multipart/__init__.py").write_text(
        "import importlib.util, sys, time\n"
        f"spec = importlib.util.spec_from_file_location('multipart', {source!r})\n"
        "module = sys.modules['multipart'] = importlib.util.module_from_spec(spec)\n"
        "time.sleep(0.5)\n"
        "spec.loader.exec_module(module)\n"
    )
    code = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from functions.kit.http.uploads import boundary_of\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    print(*pool.map(boundary_of, ['multipart/form-data; boundary=x'] * 4))\n"
    )
    path = f"{tmp_path}:{ROOT}"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.stdout.split() == ["x"] * 4, done.stderr
