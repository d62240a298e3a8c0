"""Safe parsing of config texts from checkpoints.

mmengine saves a config as Python text and evaluates it on loading, so that a forged checkpoint could run any
code. This module only parses the text.
"""

import ast

MAX_LENGTH = 1_000_000  # characters; texts of mmengine have about ten thousand
NUMBERS = dict(inf=float('inf'), nan=float('nan'))  # as mmengine writes them
UNREADABLE = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)


def plain_value(node: ast.expr) -> object:
    """Return the value of an expression of constants, ``dict(...)`` and lists, as mmengine writes them.

    Raises:
        ValueError: If the expression is anything else.
    """
    if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict' and len(node.args) <= 1:
        words = {word.arg: plain_value(word.value) for word in node.keywords}
        return dict(*map(plain_value, node.args)) | words
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {ast.literal_eval(k): plain_value(v) for k, v in zip(node.keys, node.values) if k}
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [plain_value(item) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items  # mmaction2's Resize needs a tuple
    if isinstance(node, ast.Name) and node.id in NUMBERS:
        return NUMBERS[node.id]
    return ast.literal_eval(node)


def plain_assignments(text: str) -> tuple[dict[str, object], str, list[str]]:
    r"""Parse the assignments of plain values in a config text.

    Returns:
        tuple: The values by name, the text of their statements, and the beginnings of all other statements.
        These include ``_base_``, which would read other files.

    Examples:
        >>> values, text, others = plain_assignments('lr = 0.1\nimport os')
        >>> values, others
        ({'lr': 0.1}, ['import os'])
    """
    try:
        if not isinstance(text, str) or len(text) > MAX_LENGTH:
            raise ValueError('no text, or a very long one')
        statements = ast.parse(text).body
    except UNREADABLE:
        return {}, '', [str(text)[:60]]
    values: dict[str, object] = {}
    kept: list[str] = []
    others: list[str] = []
    for statement in statements:
        source = ast.get_source_segment(text, statement) or ''
        try:
            if not isinstance(statement, ast.Assign):
                raise ValueError('it is not an assignment')
            (target,) = statement.targets
            if not isinstance(target, ast.Name):
                raise ValueError('it does not assign to a name')
            if target.id == '_base_':
                raise ValueError('it would read other files')
            values[target.id] = plain_value(statement.value)
            kept.append(source)
        except UNREADABLE:  # not an assignment of a plain value to one name
            others.append(source.partition('\n')[0][:60])
    return values, '\n'.join(kept) + '\n' if others else text, others
