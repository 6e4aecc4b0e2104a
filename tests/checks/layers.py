# SPDX-License-Identifier: Apache-2.0
"""Includes go downward only, as tests/layers.txt says, and a third-party header is included by its
package alone and by no public header."""

import dataclasses
import fnmatch
import pathlib
import re

from tree import ROOT, c_files

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)
_LINE = re.compile(r"^(\w+):(.*)$")

# headers of the C library and of Linux; whatever else is in <> is third-party
_SYSTEM = """
assert.h complex.h ctype.h dirent.h dlfcn.h errno.h fcntl.h fenv.h float.h fnmatch.h getopt.h
glob.h grp.h ifaddrs.h inttypes.h iso646.h langinfo.h libgen.h limits.h locale.h malloc.h math.h
netdb.h poll.h pthread.h pwd.h regex.h sched.h semaphore.h setjmp.h signal.h spawn.h stdalign.h
stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h
sysexits.h syslog.h termios.h threads.h time.h uchar.h unistd.h wchar.h wctype.h
arpa/* linux/* net/* netinet/* sys/* sanitizer/*
""".split()


@dataclasses.dataclass
class Layer:
    packages: set[str]
    headers: list[str]


def read_layers(text: str) -> dict[str, Layer]:
    layers = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.match(line)
        if not match:
            raise ValueError(f"layers.txt: not a layer: {line}")
        words = match[2].split()
        layers[match[1]] = Layer(
            {w for w in words if not w.startswith("<")},
            [w.strip("<>") for w in words if w.startswith("<")],
        )
    return layers


def find_cycle(layers: dict[str, Layer]) -> list[str]:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :] + [name]
        if name in done:
            return []
        for below in sorted(layers[name].packages & set(layers)):
            cycle = visit(below, [*path, name])
            if cycle:
                return cycle
        done.add(name)
        return []

    for name in layers:
        cycle = visit(name, [])
        if cycle:
            return cycle
    return []


def _matches(header: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(header, p) for p in patterns)


def _check_file(path: pathlib.Path, root: pathlib.Path, layers: dict[str, Layer]) -> list[str]:
    parts = path.relative_to(root).parts
    is_test = parts[:2] == ("tests", "unit")
    package = parts[2] if is_test else parts[1]
    where = path.relative_to(root)
    if package not in layers:
        return [f"{where}: package {package} is not in tests/layers.txt"]
    layer, found = layers[package], []
    for kind, header in _INCLUDE.findall(path.read_text()):
        target = header.split("/")[0]
        if kind == "<":
            is_foreign = not _matches(header, _SYSTEM)
            allowed = layer.headers + (["cmocka.h"] if is_test else [])
            if is_foreign and not _matches(header, allowed):
                found.append(f"{where}: <{header}> is not a header of package {package}")
            elif is_foreign and parts[0] == "include":
                found.append(f"{where}: a public header includes <{header}>")
        elif "/" in header and target in layers:
            if target != package and target not in layer.packages:
                found.append(f'{where}: "{header}": {package} may not include {target}')
        elif parts[0] == "include":
            found.append(f'{where}: "{header}": a public header includes a private one')
        elif "/" in header or not (
            (path.parent / header).exists()
            or (root / "pkg" / package / header).exists()
            or (is_test and (root / "tests" / "lib" / header).exists())
        ):
            found.append(f'{where}: "{header}" is no header of package {package}')
    return found


def check(root: pathlib.Path = ROOT) -> list[str]:
    layers = read_layers((root / "tests" / "layers.txt").read_text())
    found = []
    for name, layer in layers.items():
        for unknown in sorted(layer.packages - set(layers)):
            found.append(f"tests/layers.txt: {name} names {unknown}, which is no package")
    cycle = find_cycle(layers)
    if cycle:
        found.append(f"tests/layers.txt: a cycle: {' -> '.join(cycle)}")
    for path in c_files(root):
        parts = path.relative_to(root).parts
        if parts[0] in ("pkg", "include") or parts[:2] == ("tests", "unit"):
            found += _check_file(path, root, layers)
    return found
