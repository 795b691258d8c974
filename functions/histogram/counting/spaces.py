"""The space that values are counted in, and the luminance: tone curves undone, or colours converted for a display.

`linear` undoes the curve of the ICC profile, of a PNG's gAMA, of the transfer characteristics (cICP, nclx), else that
of sRGB. `display` is the picture in sRGB by LittleCMS, perceptual intent. What is not possible leaves the values as
encoded, with the reason. Y of CIE is relative luminance of light: 0.2126 R + 0.7152 G + 0.0722 B, or by the colorants
of the profile, before their adaptation to D50.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

from functions.histogram.counting.profiles import Curve, Profile, ProfileError, bt709, power, srgb
from functions.kit.images.colour import Colour, colour
from functions.kit.images.metering import HeaderLimitError
from functions.kit.images.samples.model import GRAY, RGB, Samples

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    Array = np.ndarray[Any, Any]

WEIGHTS = {"601": (0.299, 0.587, 0.114), "709": (0.2126, 0.7152, 0.0722), "y": (0.2126, 0.7152, 0.0722)}
_GRAY_MODES = frozenset(("1", "L", "LA", "La"))
_RGB_MODES = frozenset(("P", "PA", "RGB", "RGBX", "RGBA", "RGBa", "YCbCr"))
# Transfer characteristics of ITU-T H.273 whose curve is that of sRGB or is taken as such, and what others are called.
_TRANSFERS: dict[int, tuple[str, Curve | None]] = {
    **dict.fromkeys((2, 13), ("sRGB", srgb)),
    **dict.fromkeys((1, 6, 14, 15), ("BT.709", bt709)),
    4: ("gamma 2.2", power(2.2)),
    5: ("gamma 2.8", power(2.8)),
    8: ("linear", power(1.0)),
    16: ("PQ", None),
    18: ("HLG", None),
}


@dataclass(frozen=True)
class Tone:
    """What is counted of encoded values.

    Args:
        wanted: the space that was asked for.
        used: the space that is counted.
        luminance: 601, 709 or y.
        curves: light, 0 to 1, of encoded values from 0 to 1, of each colour; one for gray; empty where none is known.
        curve: name of the curve.
        weights: of the colours in the luminance.
        profile: description of the ICC profile; None without a profile.
        reason: why the space or the luminance is not the one that was asked for; empty where it is.
        convert: a picture of Pillow to the one that is counted, for `display`.
        source: the profile that `display` converts from.
    """

    wanted: str = "encoded"
    used: str = "encoded"
    luminance: str = "601"
    curves: tuple[Curve, ...] = ()
    curve: str | None = None
    weights: tuple[float, float, float] = WEIGHTS["601"]
    profile: str | None = None
    reason: str = ""
    convert: Callable[[Image.Image], Image.Image] | None = None
    source: bytes = b""

    @property
    def plain(self) -> bool:
        """Whether nothing is to be done: encoded values, and luma by Rec. 601."""
        return self.used != "linear" and self.luminance == "601"

    @property
    def light(self) -> bool:
        """Whether the levels of the luminance are proportional to light."""
        return self.used == "linear" or self.luminance == "y"

    def facts(self) -> dict[str, str | None]:
        """What the answer states."""
        found = {"wanted": self.wanted, "used": self.used, "luminance": self.luminance}
        if self.wanted == "encoded" and self.luminance != "y" and not self.reason:
            return {**found}
        return {**found, "curve": self.curve, "profile": self.profile, "reason": self.reason or None}

    @lru_cache(maxsize=8)  # noqa: B019 - a tone lives as long as its request
    def table(self, index: int, size: int) -> Array:
        """Light, 0 to 1, of each encoded value of a colour."""
        import numpy as np

        with np.errstate(all="ignore"):
            light = self.curves[index if len(self.curves) > 1 else 0](np.linspace(0, 1, size))
        return np.nan_to_num(light, nan=0, posinf=1, neginf=0).clip(0, 1)

    def levels(self, index: int, size: int) -> Array:
        """The level, of as many, that the light of each encoded value has."""
        import numpy as np

        return np.floor(self.table(index, size) * (size - 1) + 0.5).astype(np.int64)

    def luminous(self, pixels: Array, size: int) -> Array:
        """Levels of the luminance of pixels (…, colours) by their light."""
        import numpy as np

        total: Any = 0.5
        for index, weight in enumerate(self.weights):
            total = total + (self.table(index, size) * (weight * (size - 1)))[pixels[..., index]]
        return np.asarray(total).clip(0, size - 1).astype(np.uint8 if size <= 256 else np.uint16)


PLAIN = Tone()


def form(samples: Samples) -> str:
    """What `tone` takes a picture of more than 8 bits a sample for."""
    if samples.kind == "float":
        return "float" if samples.names[0] in {"gray", "red"} else "floating point"
    if samples.kind != "uint" or samples.bits > 16:
        return f"{samples.bits}-bit integers"
    return {"gray": "L", "red": "RGB", "cyan": "CMYK"}.get(samples.names[0], samples.mode)


def tone(data: bytes, form: str, space: str, luminance: str, frame: int = 0) -> Tone:
    """The tone of a picture.

    Args:
        data: the whole file.
        form: Pillow's mode of the picture, or `float`, or a name of another form that has no curve.
        space: `encoded`, `linear` or `display`.
        luminance: `601`, `709` or `y`.
        frame: page of a TIFF.
    """
    if space == "encoded" and luminance == "601":
        return PLAIN
    wanted = Tone(space, luminance=luminance, weights=WEIGHTS[luminance])
    if space == "encoded" and luminance == "709":
        return wanted if form in _GRAY_MODES | _RGB_MODES | {"float"} else _without_luminance(wanted, form)
    try:
        stated = colour(data, frame)
        profile = Profile(stated.profile) if stated.profile else None
    except (ProfileError, HeaderLimitError) as error:
        return replace(wanted, luminance="601", weights=WEIGHTS["601"], reason=f"the colour profile is broken: {error}")
    named = replace(wanted, profile=profile.name if profile is not None else None)
    if space == "display":
        return _display(named, stated, profile, form)
    return _linear(named, stated, profile, form)


def _without_luminance(wanted: Tone, form: str) -> Tone:
    reason = f"luminance by Rec. 709 and CIE Y are those of red, green and blue; this picture is {form}"
    return replace(wanted, luminance="601", weights=WEIGHTS["601"], reason=reason)


def _linear(wanted: Tone, stated: Colour, profile: Profile | None, form: str) -> Tone:
    """Curves of light, for `linear` and for Y."""
    failed = replace(wanted, luminance="601", weights=WEIGHTS["601"])
    if form == "float":
        if stated.profile:
            return replace(
                failed, reason="the values are floating point with a colour profile, whose curve is not undone"
            )
        return replace(wanted, used=wanted.wanted, curve="linear", curves=(power(1.0),))
    gray = form in _GRAY_MODES
    if not gray and form not in _RGB_MODES:
        return replace(failed, reason=f"a picture of mode {form} has no tone curves")
    weights = wanted.weights
    if profile is not None and profile.space in {"RGB", "GRAY"} and (gray or profile.space == "RGB"):
        try:
            curves = profile.curves()
            if wanted.luminance == "y" and profile.space == "RGB":
                weights = profile.luminance()
        except ProfileError as error:
            return replace(failed, reason=f"the tone curves of the profile {profile.name!r} cannot be undone: {error}")
        name = "profile"
    elif stated.gamma is not None and abs(stated.gamma - 0.45455) > 0.001:  # what is meant by that one is sRGB
        if not 0.05 < stated.gamma < 20:
            return replace(failed, reason=f"gAMA of {stated.gamma:g} is no curve")
        curves, name = (power(1 / stated.gamma),), f"gAMA {stated.gamma:g}"
    else:
        name, known = _TRANSFERS.get(stated.transfer or 2, (f"transfer characteristics {stated.transfer}", None))
        if known is None:
            return replace(failed, reason=f"the curve of the file, {name}, is not undone")
        curves = (known,)
    # A gray picture with a profile for RGB has three equal colours.
    return replace(wanted, used=wanted.wanted, curves=curves[:1] if gray else curves, curve=name, weights=weights)


# --- display


def _display(wanted: Tone, stated: Colour, profile: Profile | None, form: str) -> Tone:
    """The picture in sRGB; as encoded where there is no profile to convert from."""
    kinds = {"RGB": _RGB_MODES, "GRAY": _GRAY_MODES, "CMYK": frozenset(("CMYK",))}
    reason = ""
    if profile is None:
        named = _TRANSFERS.get(stated.transfer or 2, ("an unknown curve", None))[0]
        if stated.gamma is not None and abs(stated.gamma - 0.45455) > 0.001:
            named = f"gAMA {stated.gamma:g}"
        reason = "the picture has no ICC profile"
        if form in _RGB_MODES | _GRAY_MODES:
            reason += "; its values are those of sRGB" if named == "sRGB" else f", and its curve is {named}"
    elif form not in kinds.get(profile.space, ()):
        reason = f"the profile {profile.name!r} is for {profile.space}, the picture is {form}"
    if not reason and profile is not None:
        try:
            convert = _converter(profile.data, form)
        except ProfileError as error:
            reason = f"LittleCMS does not convert from the profile {profile.name!r}: {error}"
        else:
            found = replace(wanted, used="display", convert=convert, source=profile.data, curve="sRGB")
            return replace(found, curves=(srgb,)) if wanted.luminance == "y" else found
    if form not in _RGB_MODES | _GRAY_MODES:
        return replace(wanted, luminance="601", weights=WEIGHTS["601"], reason=reason)
    if wanted.luminance == "y":
        found = _linear(wanted, stated, profile, form)
        return replace(found, used="encoded", reason="; ".join(filter(None, (reason, found.reason))))
    return replace(wanted, reason=reason)


def _converter(profile: bytes, form: str) -> Callable[[Image.Image], Image.Image]:
    """A function that converts a picture of a mode to sRGB: gray stays gray, alpha is kept."""
    from io import BytesIO

    from PIL import ImageCms

    given = "L" if form in _GRAY_MODES else "CMYK" if form == "CMYK" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, _display_profile(), given, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise ProfileError(str(error).strip() or type(error).__name__) from None

    def convert(image: Image.Image) -> Image.Image:
        if image.mode in {"La", "RGBa"}:
            image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode])
        info = {key: value for key, value in image.info.items() if key not in {"transparency", "icc_profile"}}
        name, alpha = image.format, None
        if "A" in image.getbands() or "transparency" in image.info:
            alpha = image.convert("RGBA").getchannel("A")
        made = image if image.mode == given else image.convert(given)
        if given == "RGB":
            ImageCms.applyTransform(made, transform, inPlace=True)
        else:
            made = cast("Image.Image", ImageCms.applyTransform(made, transform))
            made = made.getchannel("G") if given == "L" else made
        if alpha is not None:
            made.putalpha(alpha)
        made.info, made.format = info, name
        return made

    return convert


@lru_cache(maxsize=1)
def _display_profile() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def displayed(samples: Samples, found: Tone) -> Samples:
    """Samples of 9 to 16 bits converted to sRGB, at 16 bits."""
    colours = len(samples.names) - ("alpha" in samples.names)
    transform = _transform(found.source, colours)
    top = samples.level or 2**samples.bits - 1

    def read(rows: int) -> Iterator[Array]:
        import numpy as np

        for strip in samples.read(rows):
            wide = _wide(strip, top)
            made = transform(np.ascontiguousarray(wide[..., :colours]))
            bands = [made[..., 1:2] if made.shape[2] > colours == 1 else made]
            if strip.shape[2] > colours:
                bands.append(wide[..., -1:])
            elif samples.key is not None:
                bands.append(np.where(strip[..., :1] == samples.key, 0, 65535).astype(np.uint16))
            yield np.concatenate(bands, axis=2)

    alpha = ("alpha",) if "alpha" in samples.names else ()
    return replace(
        samples,
        names=(GRAY if colours == 1 else RGB) + alpha,
        mode=samples.mode.replace("CMYK", "RGB"),
        bits=16,
        read=read,
        level=None,
        key=None,
        masked=samples.masked or samples.key is not None,
    )


def _wide(values: Array, top: int) -> Array:
    """Values from 0 to a highest one at 16 bits."""
    import numpy as np

    return values if top == 65535 else np.rint(values * (65535 / top)).clip(0, 65535).astype(np.uint16)


def _transform(data: bytes, colours: int) -> Callable[[Array], Array]:
    """From strips of 16-bit values to such of sRGB: by the profile's curves and matrix, or by LittleCMS in libvips.

    Pillow's LittleCMS has 8 bits alone, and that of libvips rounds to a few hundredths of a percent.
    """
    profile = Profile(data)
    if not profile.tables and colours in {1, 3}:
        return partial(_shaped, profile.curves(), profile.matrix() if colours == 3 else None)
    return partial(_by_vips, data, {1: "grey16", 3: "rgb16", 4: "cmyk"}[colours])


def _shaped(curves: tuple[Curve, ...], matrix: Array | None, values: Array) -> Array:
    import numpy as np

    scale = np.linspace(0, 1, 65536)
    light = np.stack([curve(scale)[values[..., band]] for band, curve in enumerate(curves)], axis=2)
    if matrix is not None:
        light = light @ matrix.T
    light = light.clip(0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.floor(encoded * 65535 + 0.5).astype(np.uint16)


def _by_vips(profile: bytes, kind: str, values: Array) -> Array:
    import numpy as np

    from functions.kit.images.strips.vips import library

    vips = library()
    height, width, bands = values.shape
    image = vips.Image.new_from_memory(values.data, width, height, bands, "ushort").copy(interpretation=kind)
    image.set_type(vips.GValue.blob_type, "icc-profile-data", profile)
    image = image.icc_import(embedded=True, pcs="xyz", intent="perceptual")
    made = image.icc_export(output_profile="srgb", depth=16, pcs="xyz", intent="perceptual")
    return np.frombuffer(made.write_to_memory(), np.uint16).reshape(height, width, made.bands)
