"""Finding faces: one file a detector, behind one small protocol."""

from agewise.detect.base import Detector
from agewise.detect.registry import DetectorInfo, detector_infos, detector_names, make_detector

__all__ = ["Detector", "DetectorInfo", "detector_infos", "detector_names", "make_detector"]
