# SPDX-License-Identifier: MIT
"""A small picture as PNG: what an SVG drawing embeds where shapes would be too many."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def data_uri(pixels: npt.NDArray[np.uint8], colours: Sequence[str]) -> str:
    """A `data:` address of a picture.

    Args:
        pixels: index of each pixel's colour, shape (height, width).
        colours: `#rrggbb`, at most 255; index len(colours) is transparent.
    """
    height, width = pixels.shape
    palette = b"".join(bytes.fromhex(colour[1:]) for colour in colours) + b"\0\0\0"
    alpha = b"\xff" * len(colours) + b"\0"
    # Every row begins with its filter: 0, none.
    rows = np.pad(np.ascontiguousarray(pixels, np.uint8), ((0, 0), (1, 0)))
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"tRNS", alpha),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    ):
        png += (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )
    return "data:image/png;base64," + base64.b64encode(png).decode()
