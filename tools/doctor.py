"""Check versions, machine, video decoding and checkpoint loading, and print what to attach to a bug report.

The exit code is 1 if there are problems. Nothing is downloaded or changed.
"""

import argparse
import contextlib
import json
import platform
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--json', action='store_true', help='print JSON (default: text)')
    parser.add_argument(
        '--network', action='store_true', help='ask the model hub for an answer (default: no network access)'
    )
    parser.add_argument('--folder', default='.', help='where runs will write (default: %(default)s)')
    return parser.parse_args()


if __name__ == '__main__':
    args = parse_args()  # before the imports, which take seconds


def main(args: argparse.Namespace) -> None:
    try:
        from mmclip4clip.apis import doctor
    except ImportError as error:  # its message says what to install
        found = dict(name='import', status='problem', value=str(error), advice='')
        python = dict(
            name='python', status='ok', value=f'{platform.python_version()} at {sys.executable}', advice=''
        )
        print(
            json.dumps(dict(problems=True, findings=[python, found]), indent=1)
            if args.json
            else f'ok       python  {python["value"]}\nproblem  import  {error}\n1 ok, 0 warnings, 1 problems'
        )
        raise SystemExit(1) from error
    with contextlib.redirect_stdout(sys.stderr):  # logs of the checks, which are no JSON
        findings = doctor.examine(args.folder, args.network)
    print(doctor.as_json(findings) if args.json else doctor.as_text(findings))
    raise SystemExit(int(doctor.has_problems(findings)))


if __name__ == '__main__':
    main(args)
