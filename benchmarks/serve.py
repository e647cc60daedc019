"""Many clients of `searchkit serve` at once, beside one at a time, and beside unbatched encoding.

The server is the real command in a process of its own, asked over loopback for hybrid search; every
query is another one, of words drawn from the documents, so that no answer comes out of the cache.
Clients keep their connection and ask again as soon as they are answered. "unbatched" is the same
server with --batch 1: queries are encoded one after another. CPU time is that of the server for one
query, all threads together: on a busy machine, a better guess at what a free one needs.

    python benchmarks/serve.py --index scifact                  # three minutes and a half
    python benchmarks/serve.py --index handbook --seconds 10
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORDS = (2, 6)  # of a query


@dataclass
class Load:
    """What clients met with: seconds of each answer, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0  # of the server, all threads together
    peak_mib: float = 0.0
    end_mib: tuple[float, float] = (0.0, 0.0)  # in the middle, and at the end


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--index", default="handbook", help="an index with vectors, by name or path"
    )
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--mode", default="hybrid")
    parser.add_argument("--variant", default="tuned")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{options.index}, {options.mode}; {os.cpu_count()} cores, load {load:.1f} before")
    print(
        f"{'':<18}{'queries/s':>10}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'errors':>8}"
        f"{'CPU ms':>8}{'MiB':>7}"
    )
    rows = (
        (f"{options.clients} clients", options.clients, options.seconds, []),
        ("1 client", 1, options.seconds / 2, []),
        (f"{options.clients}, unbatched", options.clients, options.seconds, ["--batch", "1"]),
    )
    rates = {}
    for name, clients, seconds, more in rows:
        met = measure(options, clients, seconds, more)
        rates[name] = len(met.seconds) / met.wall_s
        found = sorted(met.seconds) or [float("nan")]
        marks = "".join(
            f"{found[min(len(found) - 1, int(share * len(found)))] * 1e3:>9.0f}"
            for share in (0.5, 0.95, 0.99)
        )
        print(
            f"{name:<18}{rates[name]:>10.1f}{marks}{len(met.errors):>8}"
            f"{met.cpu_s / max(1, len(met.seconds)) * 1e3:>8.1f}{met.peak_mib:>7.0f}"
            f"   half way {met.end_mib[0]:.0f} MiB, at the end {met.end_mib[1]:.0f} MiB",
            flush=True,
        )
        for error in met.errors[:3]:
            print(f"    {error}")
    batched, alone, unbatched = rates.values()
    print(f"batched / unbatched {batched / unbatched:.2f}; / one at a time {batched / alone:.2f}")


def measure(options: argparse.Namespace, clients: int, seconds: float, more: list[str]) -> Load:
    """Start a server, load it, and end it."""
    command = [sys.executable, "-m", "searchkit", "serve", options.index, "--port", "0", "--quiet"]
    command += ["--timeout", "120", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            match = re.search(r"serving (\S+) at http://127.0.0.1:(\d+)/", server.stdout.readline())
            assert match, "the server did not start"
            name, port = match[1], int(match[2])
            how = {"mode": options.mode, "variant": options.variant, "k": 10, "literal": True}
            queries = drawn(port, name, seed=clients + len(more))
            asyncio.run(run(server.pid, port, name, how, 1, 0.1, queries))  # the model loads
            load = asyncio.run(run(server.pid, port, name, how, clients, seconds, queries))
        finally:
            server.terminate()
    assert server.returncode == 0, server.returncode
    return load


def drawn(port: int, name: str, seed: int) -> Iterator[str]:
    """Queries without end, of words that follow each other in the documents."""
    base = f"http://127.0.0.1:{port}/api/indexes/{name}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{base}/documents?limit=200") as answer:
        ids = [one["doc_id"] for one in json.load(answer)["documents"]]
    texts = []
    for doc_id in ids:
        with opener.open(f"{base}/document?id={urllib.request.quote(doc_id, safe='')}") as answer:
            texts.append(re.findall(r"\w+", json.load(answer)["text"]))
    texts = [words for words in texts if len(words) > WORDS[1]]
    draw = random.Random(seed)
    number = 0
    while True:
        words = draw.choice(texts)
        length = draw.randint(*WORDS)
        start = draw.randrange(len(words) - length + 1)
        number += 1
        yield f"{' '.join(words[start : start + length])} {number}"


async def run(
    pid: int,
    port: int,
    name: str,
    how: dict[str, Any],
    clients: int,
    seconds: float,
    queries: Iterator[str],
) -> Load:
    """Let clients ask for some time; the last answers are waited for."""
    load = Load()
    cpu = cpu_s(pid)
    began = time.perf_counter()
    half = 0.0

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < began + seconds:
            body = json.dumps({"query": next(queries), **how})
            head = (
                f"POST /api/indexes/{name}/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n"
            )
            start = time.perf_counter()
            writer.write(head.encode() + body.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            match = re.search(rb"content-length: (\d+)", answer.lower())
            assert match
            content = await reader.readexactly(int(match[1]))
            if answer.startswith(b"HTTP/1.1 200") and b'"rank": 1' in content:
                load.seconds.append(time.perf_counter() - start)
            else:
                load.errors.append(f"{answer.splitlines()[0]!r} {content[:200]!r}")
        writer.close()

    async def look() -> None:
        nonlocal half
        await asyncio.sleep(seconds / 2)
        half = memory(pid, "VmRSS")

    outcomes = await asyncio.gather(
        look(), *(ask() for _ in range(clients)), return_exceptions=True
    )
    load.errors += [repr(one) for one in outcomes if one is not None]
    load.cpu_s = cpu_s(pid) - cpu
    load.wall_s = time.perf_counter() - began
    load.peak_mib, load.end_mib = memory(pid, "VmHWM"), (half, memory(pid, "VmRSS"))
    return load


def cpu_s(pid: int) -> float:
    """What a process computed so far, in seconds of one core."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int, field_: str) -> float:
    """A line of /proc/<pid>/status, in MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.split(f"{field_}:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
