from pathlib import Path

from .finding import Finding
from .machine import examine_machine
from .self_checks import examine_package
from .versions import examine_versions


def examine(folder: Path | str = '.', network: bool = False) -> list[Finding]:
    """Examine versions, machine and package; takes a few seconds and reaches no network by default.

    Args:
        folder (Path | str): Where runs will write.
        network (bool): Whether to ask the model hub for an answer.

    Examples:
        >>> from mmclip4clip.apis.doctor import examine, has_problems
        >>> has_problems(examine())  # doctest: +SKIP
        False
    """
    return [*examine_versions(), *examine_machine(Path(folder), network), *examine_package()]
