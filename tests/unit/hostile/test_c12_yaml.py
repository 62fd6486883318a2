"""C12: YAML that is made to eat memory and time. What each is told, `tests/unit/api/test_broken_yaml.py`
says; here all of it is read by one process, whose memory is looked at.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osm.core.api.yaml_text import parse

MEGABYTE = 2**20
MOST_MEMORY = 50 * MEGABYTE
LONGEST_CPU_S = 1.0
"""On a busy machine. Alone, each takes less than 0.2 s."""


def alias_bomb(width: int, depth: int) -> bytes:
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return "\n".join(lines).encode()


def merge_bomb() -> bytes:
    base = "base: &base\n" + "".join(f"  k{n}: 1\n" for n in range(1000))
    return (base + "".join(f"m{n}:\n  <<: *base\n" for n in range(1000))).encode()


HEAD = b"apiVersion: v1\nkind: Service\nmetadata:\n  name: "
BOMBS: dict[str, bytes] = {
    "an alias bomb": alias_bomb(10, 10),
    "a deep alias bomb": alias_bomb(2, 64),
    "a wide alias bomb": alias_bomb(1000, 4),
    "merges of merges": merge_bomb(),
    "an anchor within itself": b"a: &a [*a]\n",
    "10,000 lists in each other": b"[" * 10_000 + b"]" * 10_000,
    "10,000 open lists": b"[" * 10_000,
    "10,000 mappings in each other": b"{a: " * 10_000 + b"1" + b"}" * 10_000,
    "10,000 dashes": b"- " * 10_000 + b"1\n",
    "10,000 levels of indentation": b"".join(b" " * n + b"a:\n" for n in range(4_000)),
    "10 MB and a byte": b"#" * (10 * MEGABYTE + 1),
    "a name of 1 MB": HEAD + b"a" * MEGABYTE + b"\n",
    "a number of 1 MB": HEAD + b"a\nspec:\n  ports:\n  - port: " + b"9" * MEGABYTE + b"\n",
    "a float of 1 MB": HEAD + b"a\nspec:\n  ports:\n  - port: 1e" + b"9" * MEGABYTE + b"\n",
    "a sexagesimal number": HEAD + b"a\nspec:\n  ports:\n  - port: " + b"59:" * 100_000 + b"59\n",
    "100,000 documents": b"---\n" * 100_000,
    "10,000 keys": b"".join(b"k%d: 1\n" % n for n in range(10_000)),
    "a key 100,000 times": b"a: 1\n" * 100_000,
    "a Python object": HEAD + b"!!python/object/apply:os.system [reboot]\n",
    "a Python name": HEAD + b"!!python/name:os.system\n",
    "a Python tuple": HEAD + b"!!python/tuple [a]\n",
    "a set": HEAD + b"!!set {a, b}\n",
    "binary data": HEAD + b"!!binary " + b"QUFB" * 100_000 + b"\n",
    "an ELF file": b"\x7fELF" + bytes(range(256)) * 4_000,
    "only NULs": b"\x00" * MEGABYTE,
    "UTF-16": "kind: Service\n".encode("utf-16"),
    "UTF-32": "kind: Service\n".encode("utf-32"),
    "half a character": HEAD + b"\xe2\x82\n",
    "a surrogate": HEAD + b'"\\ud800"\n',
    "bidirectional controls": HEAD + "\u202ea\u2066".encode() + b"\n",
    "tabs": b"a:\n\t" + b"\t" * 100_000 + b"b: 1\n",
    "an endless quote": HEAD + b'"' + b"a\n" * 500_000,
    "an endless block": HEAD + b"|\n" + b"    a\n" * 200_000,
    "100,000 tags": b"%TAG !e! tag:e,2000:\n" * 100_000 + b"---\na: 1\n",
    "a directive": b"%YAML 9.9\n---\na: 1\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_it_is_refused_soon_and_with_a_place(name: str) -> None:
    begun = time.process_time()
    parsed = parse(BOMBS[name], file="f.yaml")
    took_s = time.process_time() - begun
    assert parsed.manifests == ()
    if name != "100,000 documents":  # nothing in any of them
        finding = parsed.findings[0]
        assert finding.where.startswith("f.yaml")
        assert len(parsed.findings) <= 100
        assert all(len(each.message) < 3_000 for each in parsed.findings)
    assert took_s < LONGEST_CPU_S


def test_all_of_it_together_takes_little_memory(tmp_path: Path) -> None:
    """In a process of its own: the most that it ever held is what the system counts."""
    names = []
    for number, content in enumerate(BOMBS.values()):
        file = tmp_path / f"{number}.yaml"
        file.write_bytes(content)
        names.append(str(file))
    result = subprocess.run(
        [sys.executable, "-c", READER, *names], capture_output=True, text=True, check=True
    )
    before, after = json.loads(result.stdout)
    assert 0 < after - before < MOST_MEMORY


READER = """
import json, re, sys
from pathlib import Path
from osm.core.api.yaml_text import parse
contents = [Path(name).read_bytes() for name in sys.argv[1:]]
parse(b"a: 1", file="f.yaml")
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
for content in contents:
    parse(content, file="f.yaml")
print(json.dumps([before, peak()]))
"""
