import json
from collections.abc import Sequence
from typing import NamedTuple

OK, WARNING, PROBLEM = 'ok', 'warning', 'problem'


class Finding(NamedTuple):
    """Result of one check.

    Attributes:
        name (str): What was checked.
        status (str): ``'ok'``, ``'warning'`` if something may fail or be slow, ``'problem'`` if it fails.
        value (str): What was found.
        advice (str): What to do about it; empty if nothing.
    """

    name: str
    status: str
    value: str
    advice: str = ''


def has_problems(findings: Sequence[Finding]) -> bool:
    """Return whether any finding is a problem."""
    return any(finding.status == PROBLEM for finding in findings)


def as_text(findings: Sequence[Finding]) -> str:
    """Return a line per finding, with its advice below, and a last line that counts them.

    Examples:
        >>> print(as_text([Finding('java', 'warning', 'not found', 'apt-get install default-jre-headless')]))
        warning  java  not found
                       -> apt-get install default-jre-headless
        0 ok, 1 warnings, 0 problems
    """
    width = max((len(finding.name) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f'{finding.status:7}  {finding.name:{width}}  {finding.value}')
        if finding.advice:
            lines.append(' ' * (11 + width) + f'-> {finding.advice}')
    counts = [sum(finding.status == status for finding in findings) for status in (OK, WARNING, PROBLEM)]
    return '\n'.join([*lines, '{} ok, {} warnings, {} problems'.format(*counts)])


def as_json(findings: Sequence[Finding]) -> str:
    """Return ``{"problems": bool, "findings": [{"name", "status", "value", "advice"}, ...]}``."""
    content = dict(problems=has_problems(findings), findings=[finding._asdict() for finding in findings])
    return json.dumps(content, indent=1)
