"""Running networks: the only room that knows ONNX Runtime."""

from agewise.engine.fake import FakeEngine
from agewise.engine.session import Engine, EngineConfig, OnnxEngine

__all__ = ["Engine", "EngineConfig", "FakeEngine", "OnnxEngine"]
