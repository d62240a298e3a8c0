"""8-bit weights for the CPU."""

import logging
from pathlib import Path
from typing import Any

from .export_folder import FRAMES, TEXT, file_sizes
from .part_names import VECTOR


def quantize_towers(folder: Path) -> dict[str, int]:
    """Replace the matrices of both towers by 8-bit integers, and compute with these (dynamic quantization).

    The scales of activations are found at run time, so no data are needed. The adapter, whose part of the
    computation is small, stays as it is.

    Args:
        folder (Path): Folder of an exported model.

    Returns:
        dict[str, int]: New sizes of its files in bytes.

    Raises:
        ImportError: If ``onnx`` or ``onnxruntime`` is missing.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ImportError(
            "8-bit weights need onnx and ONNX Runtime: pip install 'mmclip4clip[onnx]'"
        ) from error
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it warns by the root logger that it could preprocess the file
    try:
        for name in (FRAMES, TEXT):
            small = folder / f'{name}.int8'
            graph = onnx.load(folder / name, load_external_data=False).graph
            quantize_dynamic(
                folder / name,
                small,
                op_types_to_quantize=['MatMul'],
                nodes_to_exclude=nodes_of_head(graph),
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
            small.replace(folder / name)
    finally:
        root.setLevel(level)
    return file_sizes(folder)


def nodes_of_head(graph: Any) -> list[str]:
    """Return the names of the nodes that compute nothing but the vector that selects candidates.

    Args:
        graph (onnx.GraphProto): The graph of a tower.
    """
    needed = {output.name for output in graph.output if output.name != VECTOR}
    names = []
    for node in reversed(graph.node):  # each comes after those that it reads
        if needed.isdisjoint(node.output):
            names.append(node.name)
        else:
            needed.update(node.input)
    return names
