"""Models as ONNX files: writing them with torch, and running them without it."""
