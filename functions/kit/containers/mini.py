"""MinimizedImageBox: a picture of few bytes, whose header is a run of bits (ISO/IEC 23008-12, `mini`)."""

from __future__ import annotations

from collections.abc import Mapping

from functions.kit.containers.boxes import Box, encode
from functions.kit.containers.packing import ContainerError, Packing
from functions.kit.containers.parts import Changes, Claims, Document, Kind, Part, Splices


class _Bits:
    """Fields of bits one after another; each read is kept, so that the header can be written again."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)
        self.length = self.left
        self.fields: list[tuple[str, int, int]] = []
        self.values: dict[str, int] = {}

    def take(self, name: str, width: int) -> int:
        """The next field.

        Raises:
            ContainerError: the box ends before it.
        """
        if width > self.left:
            raise ContainerError("box 'mini' ends early")
        self.left -= width
        value = self.value >> self.left & ((1 << width) - 1)
        self.fields.append((name, value, width))
        self.values[name] = value
        return value

    def encode(self) -> bytes:
        """The fields as bytes, padded by zeros."""
        value = width = 0
        for _, field, size in self.fields:
            value, width = value << size | field, width + size
        return (value << -width % 8).to_bytes((width + 7) // 8, "big")


def _header(bits: _Bits) -> list[tuple[Kind, str, int]]:
    """The fields of the header; the runs of bytes behind it: kind, name of the field of their size, and their size.

    Raises:
        ContainerError: a version or field that is not read.
    """
    take = bits.take
    if take("version", 2):
        raise ContainerError("box 'mini' of an unknown version")
    codec, real, _, alpha, cicp, hdr, icc, exif, xmp = (
        take(name, 1) for name in ("codec", "float", "range", "alpha", "cicp", "hdr", "icc", "exif", "xmp")
    )
    chroma = take("chroma", 2)
    take("orientation", 3)
    large = 15 if take("large", 1) else 7
    take("width", large)
    take("height", large)
    _sampling(bits, chroma, real)
    if alpha:
        take("premultiplied", 1)
    if cicp:
        take("primaries", 8)
        take("transfer", 8)
        if chroma:
            take("matrix", 8)
    if codec:
        take("type", 32)
        take("config", 32)
    gain = gain_icc = 0
    if hdr:
        gain = take("gain", 1)
        if gain:
            gain_icc = _gain(bits, large)
        for _ in range(1 + gain):
            _light(bits)
    return _sizes(bits, alpha=alpha, icc=icc, exif=exif, xmp=xmp, gain=gain, gain_icc=gain_icc)


def _sampling(bits: _Bits, chroma: int, real: int) -> None:
    if chroma in (1, 2):
        bits.take("horizontal", 1)
    if chroma == 1:
        bits.take("vertical", 1)
    _depth(bits, real)


def _depth(bits: _Bits, real: int) -> None:
    if real:
        bits.take("depth", 2)
    elif bits.take("high", 1):
        bits.take("depth", 3)


def _gain(bits: _Bits, large: int) -> int:
    """The fields of the gain map; whether it has a profile."""
    bits.take("gain width", large)
    bits.take("gain height", large)
    bits.take("gain matrix", 8)
    bits.take("gain range", 1)
    chroma = bits.take("gain chroma", 2)
    if chroma in (1, 2):
        bits.take("gain horizontal", 1)
    if chroma == 1:
        bits.take("gain vertical", 1)
    _depth(bits, bits.take("gain float", 1))
    profile = bits.take("gain icc", 1)
    if bits.take("gain cicp", 1):
        bits.take("gain colours", 25)
    return profile


def _light(bits: _Bits) -> None:
    """Levels of light: 32, 192, …, 64, 128 and 32 bits.

    Raises:
        ContainerError: a content colour volume, whose length is not known beforehand.
    """
    present = [bits.take(name, 1) for name in ("clli", "mdcv", "cclv", "amve", "reve", "ndwt")]
    if present[2]:
        raise ContainerError("box 'mini' with a content colour volume")
    for there, width in zip(present, (32, 192, 0, 64, 128, 32), strict=True):
        if there:
            bits.take("light", width)


def _sizes(
    bits: _Bits, *, alpha: int, icc: int, exif: int, xmp: int, gain: int, gain_icc: int
) -> list[tuple[Kind, str, int]]:
    """The runs of bytes behind the header, in their order."""
    take = bits.take
    metadata = 20 if (icc or exif or xmp or gain) and take("large metadata", 1) else 10
    config = 12 if take("large config", 1) else 3
    data = 28 if take("large data", 1) else 15
    icc_size = take("icc size", metadata) + 1 if icc else 0
    gain_icc_size = take("gain icc size", metadata) + 1 if gain_icc else 0
    gain_metadata = take("gain metadata size", metadata) if gain else 0
    gain_size = take("gain size", data) if gain else 0
    gain_config = take("gain config size", config) if gain_size else 0
    main_config, main_size = take("main config size", config), take("main size", data) + 1
    alpha_size = take("alpha size", data) if alpha else 0
    alpha_config = take("alpha config size", config) if alpha_size else 0
    if exif or xmp:
        take("compressed", 1)
    exif_size = take("exif size", metadata) + 1 if exif else 0
    xmp_size = take("xmp size", metadata) + 1 if xmp else 0
    return [
        (Kind.STRUCTURE, "config", main_config + alpha_config + gain_config),
        (Kind.ICC, "icc", icc_size),
        (Kind.ICC, "gain icc", gain_icc_size),
        (Kind.STRUCTURE, "gain metadata", gain_metadata),
        (Kind.PIXELS, "alpha", alpha_size),
        (Kind.PIXELS, "gainmap", gain_size),
        (Kind.PIXELS, "main", main_size),
        (Kind.EXIF, "exif", exif_size),
        (Kind.XMP, "xmp", xmp_size),
    ]


def read(document: Document, claims: Claims, box: Box) -> None:
    """Claim the parts of the box, and note the picture's size."""
    source = document.source
    bits = _Bits(source.read(box.body, min(box.end, box.body + 256)))
    try:
        runs = _header(bits)
    except ContainerError as error:
        document.warn(str(error))
        document.broken = str(error)
        claims.claim(Part(Kind.UNKNOWN, box.start, box.end, "mini", str(error)))
        return
    document.width, document.height = bits.values["width"] + 1, bits.values["height"] + 1
    document.details["orientation"] = bits.values["orientation"] + 1
    high = bits.values.get("high", 0)
    document.details["bits_per_sample"] = 9 + bits.values.get("depth", 0) if high else 8
    at = box.body + (bits.length - bits.left + 7) // 8
    claims.claim(Part(Kind.STRUCTURE, box.start, at, "mini"))
    packing = Packing.UNKNOWN if bits.values.get("compressed") else Packing.PLAIN
    for kind, name, size in runs:
        stop = min(at + size, box.end)
        if stop < at + size:
            document.warn("box 'mini' ends inside its data")
            document.broken = "box 'mini' ends inside its data"
        packed = packing if kind in (Kind.EXIF, Kind.XMP) else Packing.PLAIN
        claims.claim(Part(kind, at, stop, "mini", "" if kind is not Kind.PIXELS else name, at, stop, packed, key=name))
        at = stop


def write(document: Document, box: Box, changes: Changes, added: Mapping[Kind, bytes]) -> bytes:
    """The file with other blocks of metadata in the box, and a header that states them.

    Raises:
        ContainerError: blocks cannot be added here, or do not fit into the fields of their sizes.
    """
    if added:
        raise ContainerError("blocks cannot be added to a minimized image")
    source, edits = document.source, dict[tuple[int, int], bytes]()
    bits = _Bits(source.read(box.body, min(box.end, box.body + 256)))
    _header(bits)
    fields = {name: (value, width) for name, value, width in bits.fields}
    for part, content in changes.items():
        edits[part.start, part.end] = content or b""
        if part.key not in ("icc", "exif", "xmp"):
            if content is None or len(content) != part.end - part.start:
                raise ContainerError(f"{part.label} {part.name}: a part of this kind cannot change its length")
            continue
        if content:
            width = fields[f"{part.key} size"][1]
            if len(content) > 1 << width:
                raise ContainerError(f"{part.label} {part.key}: {len(content):,} bytes; the limit is {1 << width:,}")
            fields[f"{part.key} size"] = len(content) - 1, width
        else:
            fields[part.key] = 0, 1
            del fields[f"{part.key} size"]
    if not fields["exif"][0] and not fields["xmp"][0]:
        fields.pop("compressed", None)
        if not fields["icc"][0] and not fields.get("gain", (0, 0))[0]:
            fields.pop("large metadata", None)
    # Fields of one name that are repeated, as levels of light are, stay as they were.
    bits.fields = [
        (name, *(fields[name] if name != "light" else (value, width)))
        for name, value, width in bits.fields
        if name in fields
    ]
    first = min(part.start for part in document.parts if part.label == "mini" and part.start > box.start)
    edits[box.body, first] = bits.encode()
    splices = Splices(source, edits)
    whole = splices.join()
    start, end = splices.moved(box.start), splices.moved(box.end)
    return whole[:start] + encode(b"mini", whole[start + (box.body - box.start) : end]) + whole[end:]
