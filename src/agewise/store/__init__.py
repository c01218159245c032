"""The models on hand."""

from agewise.store.models import DEFAULT_MODEL, ModelFile, embedded_files, find_model, list_models, read_network

__all__ = ["DEFAULT_MODEL", "ModelFile", "embedded_files", "find_model", "list_models", "read_network"]
