"""Pictures in, crops out: reading any usual format, and cutting faces as a network expects them."""

from agewise.imaging.arrays import ColorOrder
from agewise.imaging.crop import UTKFACE_TEMPLATE, CropSpec, crop_face
from agewise.imaging.read import DEFAULT_MAX_PIXELS, ImageSource, read_image

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "UTKFACE_TEMPLATE",
    "ColorOrder",
    "CropSpec",
    "ImageSource",
    "crop_face",
    "read_image",
]
