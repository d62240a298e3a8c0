"""Measure a server of an index that works for several clients at once.

It starts ``mmclip4clip serve`` on a free port. Each client searches by words, takes film strips and frames
of the answers, and plays the beginning of one, again and again. Searches differ, and so do most pictures.
Printed are times of requests as the clients see them, and the memory of the server and of its decoders at the
start, in the middle and at the end.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from itertools import count
from pathlib import Path

WORDS = ['red', 'blue', 'green', 'yellow', 'star', 'circle', 'square', 'goes', 'left', 'right', 'then', 'up']
PART = {'Range': 'bytes=0-65535'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('index', type=Path, help='the index')
    parser.add_argument('--model', help='its model, if it has been moved (default: where it was)')
    parser.add_argument('--clients', type=int, default=10, help='clients at once (default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=60, help='of the measurement (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print JSON (default: a table)')
    return parser.parse_args()


class Client(threading.Thread):
    """A client that asks until a time; ``times`` has the seconds of each request by its kind."""

    def __init__(self, address: str, number: int, end: float) -> None:
        super().__init__(daemon=True)
        self.address, self.number, self.end = address, number, end
        self.times: dict[str, list[float]] = defaultdict(list)
        self.failures: dict[str, int] = defaultdict(int)

    def run(self) -> None:
        """Ask until the end."""
        for turn in count(self.number * 1000):
            if time.monotonic() > self.end:
                return
            words = ' '.join(WORDS[(turn * step + step) % len(WORDS)] for step in (1, 3, 5, 7))
            found = self.ask('search', 'search', json.dumps(dict(query=f'{words} {turn}')).encode())
            for answer in json.loads(found or b'{"answers": []}')['answers'][:4]:
                place = f'videos/{answer["id"]}'
                self.ask('strip', f'{place}/strip?frames=5&height={64 + turn % 32}')
                self.ask('frame', f'{place}/frame?time={turn % 100 / 50}')
            if found:
                self.ask('play', place, headers=PART)

    def ask(
        self, kind: str, path: str, body: bytes | None = None, headers: dict | None = None
    ) -> bytes | None:
        """Send a request, and return the body of the answer; None if it fails."""
        headers = dict(headers or {}) | ({} if body is None else {'Content-Type': 'application/json'})
        request = urllib.request.Request(self.address + path, body, headers)
        begin = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                content = answer.read()
        except (OSError, urllib.error.HTTPError) as error:
            self.failures[f'{kind}: {error}'] += 1
            return None
        self.times[kind].append(time.perf_counter() - begin)
        return content


def memory_of(pid: int) -> int:
    """Return the bytes of a process and its children in memory; pages that they share count once (PSS)."""
    threads = Path(f'/proc/{pid}/task').iterdir()
    children = {child for thread in threads for child in (thread / 'children').read_text().split()}
    rollup = Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in rollup if line.startswith('Pss:'))
    return 1024 * kilobytes + sum(memory_of(int(child)) for child in children)


def percentile(times: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(times)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def measure(args: argparse.Namespace) -> dict:
    command = [sys.executable, '-m', 'mmclip4clip', 'serve', str(args.index), '--port', '0']
    command += ['--model', args.model] if args.model else []
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line.startswith('serving at '):
                raise SystemExit('the server does not start')
            address = line.split()[2]
            start = time.perf_counter() - begin
            Client(address, 0, time.monotonic() + 3).run()  # starts decoders
            return work(args, server.pid, address) | dict(start_seconds=round(start, 1))
        finally:
            server.terminate()


def work(args: argparse.Namespace, pid: int, address: str) -> dict:
    """Let the clients work, and summarize."""
    load, memory = os.getloadavg()[0], [memory_of(pid)]
    end = time.monotonic() + args.seconds
    clients = [Client(address, 1 + number, end) for number in range(args.clients)]
    for client in clients:
        client.start()
    clients[0].join(args.seconds / 2)
    memory.append(memory_of(pid))
    for client in clients:
        client.join()
    memory.append(memory_of(pid))
    times, failures = defaultdict(list), defaultdict(int)
    for client in clients:
        for kind, found in client.times.items():
            times[kind] += found
        for reason, number in client.failures.items():
            failures[reason] += number
    requests = {
        kind: dict(requests=len(found), p50_ms=percentile(found, 0.5), p99_ms=percentile(found, 0.99))
        for kind, found in times.items()
    }
    return dict(
        clients=args.clients,
        seconds=args.seconds,
        load=[round(load, 1), round(os.getloadavg()[0], 1)],
        memory_mib=[round(size / 2**20) for size in memory],
        requests=requests,
        failures=dict(failures),
    )


def main() -> None:
    args = parse_args()
    found = measure(args)
    if args.json:
        print(json.dumps(found))
        return
    for kind, row in found.pop('requests').items():
        print(f'{kind:7}{row["requests"]:7} requests  p50 {row["p50_ms"]:8} ms  p99 {row["p99_ms"]:8} ms')
    for key, value in found.items():
        print(f'{key}: {value}')


if __name__ == '__main__':
    main()
