from argparse import Namespace

from .printing import Printer


def run_doctor(args: Namespace, printer: Printer) -> int:
    """Check the installation, print the findings, and return 1 if there are problems."""
    from .. import doctor  # imports torch

    findings = doctor.examine(args.folder, args.network)
    printer.print_line(doctor.as_json(findings) if args.json else doctor.as_text(findings))
    return int(doctor.has_problems(findings))
