"""Owns the pipelines and tables that the conversion to ONNX is tried on."""
