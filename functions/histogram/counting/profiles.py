"""Tone curves and colorants of an ICC profile (ICC.1:2022), which LittleCMS applies but Pillow does not expose."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Curve = Callable[["Array"], "Array"]
_MOST_TAGS = 256
_MOST_POINTS = 65536
_PARAMETERS = (1, 3, 4, 5, 7)  # of a parametric curve, by its type
# The adaptation of Bradford: cone responses of XYZ.
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_D50 = (0.9642, 1.0, 0.8249)
# XYZ of the colours of sRGB, adapted to D50 as those of profiles are.
_SRGB = ((0.4360747, 0.3850649, 0.1430804), (0.2225045, 0.7168786, 0.0606169), (0.0139322, 0.0971045, 0.7141733))


class ProfileError(ValueError):
    """A profile is broken or lacks what is needed; the text says what."""


def srgb(values: Array) -> Array:
    """The light of sRGB values, 0 to 1 (IEC 61966-2-1)."""
    import numpy as np

    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def bt709(values: Array) -> Array:
    """The light of values by the transfer characteristics of BT.709."""
    import numpy as np

    return np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))


def power(exponent: float) -> Curve:
    """The curve value ^ exponent."""

    def curve(values: Array) -> Array:
        raised: Array = values**exponent
        return raised

    return curve


class Profile:
    """A profile: its colour space, name, curves and colorants.

    Args:
        data: the profile.

    Raises:
        ProfileError: its header or table of tags is broken.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) < 132 or data[36:40] != b"acsp":
            raise ProfileError("it has no header of an ICC profile")
        self.space = data[16:20].decode("latin-1").strip()
        count = int.from_bytes(data[128:132], "big")
        if count > _MOST_TAGS or 132 + 12 * count > len(data):
            raise ProfileError(f"it lists {count:,} tags in {len(data):,} bytes")
        entries = struct.iter_unpack(">4sII", data[132 : 132 + 12 * count])
        self._tags = {name: data[start : start + size] for name, start, size in entries}
        self.name = self._text(self._tags.get(b"desc", b"")) or "unnamed"

    @staticmethod
    def _text(tag: bytes) -> str:
        if tag[:4] == b"desc":
            found = tag[12 : 12 + min(int.from_bytes(tag[8:12], "big"), 200)].decode("ascii", "replace")
        elif tag[:4] == b"mluc" and len(tag) >= 28:
            size, start = struct.unpack_from(">II", tag, 20)
            found = tag[start : start + min(size, 200)].decode("utf-16-be", "replace")
        else:
            return ""
        return "".join(letter for letter in found.split("\0")[0] if letter.isprintable()).strip()

    def curves(self) -> tuple[Curve, ...]:
        """From values to light: of gray, or of red, green and blue.

        Raises:
            ProfileError: there are none, or they are broken.
        """
        names = (b"kTRC",) if self.space == "GRAY" else (b"rTRC", b"gTRC", b"bTRC")
        return tuple(self._curve(name) for name in names)

    def _curve(self, name: bytes) -> Curve:
        tag = self._tags.get(name, b"")
        if not tag:
            raise ProfileError("it has tables instead of curves")
        try:
            if tag[:4] == b"curv":
                return self._sampled(tag)
            if tag[:4] == b"para":
                return self._parametric(tag)
        except struct.error:
            pass
        raise ProfileError(f"its curve {name.decode()} is broken")

    @staticmethod
    def _sampled(tag: bytes) -> Curve:
        (count,) = struct.unpack_from(">I", tag, 8)
        if count > _MOST_POINTS:
            raise ProfileError(f"a curve has {count:,} points; the limit is {_MOST_POINTS:,}")
        points = struct.unpack_from(f">{count}H", tag, 12)
        if not points:
            return power(1.0)
        if count == 1:
            return power(points[0] / 256)

        def curve(values: Array) -> Array:
            import numpy as np

            return np.interp(values, np.linspace(0, 1, count), np.array(points) / 65535)

        return curve

    @staticmethod
    def _parametric(tag: bytes) -> Curve:
        (kind,) = struct.unpack_from(">H", tag, 8)
        if kind >= len(_PARAMETERS):
            raise ProfileError(f"a parametric curve is of the unknown type {kind}")
        given = [each / 65536 for each in struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)]
        g, a, b, c, d, e, f = given + [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0][len(given) :]
        if kind in {1, 2}:
            # Below -b/a the first is 0, the second its offset c.
            offset = c if kind == 2 else 0.0
            c, d, e, f = 0.0, (-b / a if a else 0.0), offset, offset

        def curve(values: Array) -> Array:
            import numpy as np

            base = np.maximum(a * values + b, 0)
            return np.asarray(np.where(values >= d, base**g + e, c * values + f))

        return curve

    @property
    def tables(self) -> bool:
        """Whether LittleCMS converts from it by a table of colours."""
        return any(name in self._tags for name in (b"A2B0", b"A2B1", b"D2B0"))

    def matrix(self) -> Array:
        """From the light of its colours to that of sRGB.

        Raises:
            ProfileError: there are no colorants, or they are broken.
        """
        import numpy as np

        return np.asarray(np.linalg.inv(np.array(_SRGB)) @ self._colorants())

    def _colorants(self) -> Array:
        import numpy as np

        return np.array([self._xyz(name) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]).T

    def luminance(self) -> tuple[float, float, float]:
        """Shares of red, green and blue in Y, under the white of the profile's own device.

        Colorants are stored adapted to D50. The tag `chad` has that adaptation; without it, it is taken as Bradford's
        from the stated white point.

        Raises:
            ProfileError: there are no colorants, or they are broken.
        """
        import numpy as np

        try:
            shares = (np.linalg.inv(self._adaptation()) @ self._colorants())[1]
        except np.linalg.LinAlgError:
            raise ProfileError("its chromatic adaptation cannot be undone") from None
        total = float(shares.sum())
        if not 0.1 < total < 10 or not np.isfinite(shares).all() or shares.min() < -0.5:
            raise ProfileError("its colorants make no white")
        red, green, blue = (float(share) / total for share in shares)
        return red, green, blue

    def _xyz(self, name: bytes) -> tuple[float, float, float]:
        tag = self._tags.get(name, b"")
        if tag[:4] != b"XYZ " or len(tag) < 20:
            raise ProfileError(f"it has no {name.decode()}")
        x, y, z = (each / 65536 for each in struct.unpack_from(">3i", tag, 8))
        return x, y, z

    def _adaptation(self) -> Array:
        import numpy as np

        tag = self._tags.get(b"chad", b"")
        if tag[:4] == b"sf32" and len(tag) >= 44:
            return np.array(struct.unpack_from(">9i", tag, 8)).reshape(3, 3) / 65536
        bradford = np.array(_BRADFORD)
        white = self._xyz(b"wtpt") if b"wtpt" in self._tags else _D50
        ratios = (bradford @ np.array(_D50)) / (bradford @ np.array(white))
        return np.asarray(np.linalg.inv(bradford) @ np.diag(ratios) @ bradford)
