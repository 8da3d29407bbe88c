#!/usr/bin/env python3
"""Turns CUDA sources into C++ for tests/kernels_cuda/emulation.

    launches.py OUTPUT_FOLDER ROOT FILE...

Each FILE, named from ROOT, goes to the same place in OUTPUT_FOLDER; a .cu gets .cpp added. What C++ has no words for is changed,
and all else, lines included, stays as it is:

    kernel<<<grid, block, ...>>>(arguments)   emulation::launch("file.cu:1", [=](auto... a) { kernel(a...); }, grid, block, ...)(arguments)
    __shared__ float sums[8];                 static float sums[8]; emulation::poison(sums);
    extern __shared__ float4 memory[];        float4* const memory = emulation::dynamic_shared<float4>();

The launches are listed at the end, so that a test can say which of them it has never come to.
"""
import pathlib
import re
import sys


def kernel_start(text, end):
    """Where the expression begins that ends at `end`: a name, perhaps with template arguments."""
    start = end
    if text[start - 1] == ">":
        depth = 0
        while True:
            start -= 1
            depth += {">": 1, "<": -1}.get(text[start], 0)
            if depth == 0:
                break
    return re.search(r"[\w:]+$", text[:start]).start()


def with_launches(text, name):
    """The text with its launches as calls, and their places."""
    places, done, at = [], "", 0
    for match in re.finditer(r"\s*<<<(.*?)>>>\s*\(", text, re.DOTALL):
        start = kernel_start(text, match.start())
        kernel = text[start:match.start()]
        place = f'"{name}:{text.count(chr(10), 0, match.start(1)) + 1}"'
        lines = "\n" * (match[0].count("\n") - match[1].count("\n"))
        call = f"emulation::launch({place}, [=](auto... launched) {{ {kernel}(launched...); }}, {match[1]}){lines}("
        done += text[at:start] + call
        places.append(place)
        at = match.end()
    return done + text[at:], places


def with_shared(text):
    def declared(match):
        declarators = re.sub(r"<[^<>]*>|\[[^\]]*\]", "", match[1])
        names = [declarator.split()[-1] for declarator in declarators.split(",")]
        return f"static {match[1]}; emulation::poison({', '.join(names)});"

    text = re.sub(r"\bextern\s+__shared__\s+(\w+)\s+(\w+)\[\];", r"\1* const \2 = emulation::dynamic_shared<\1>();", text)
    return re.sub(r"\b__shared__\s+([^;=]+);", declared, text)


def main():
    output, root, *files = sys.argv[1:]
    for name in files:
        source = pathlib.Path(root, name)
        text, places = with_launches(with_shared(source.read_text(encoding="utf-8")), name)
        text = f'#line 1 "{source}"\n{text}'
        if places:
            text += f"\nstatic const emulation::Launches emulated_launches_{re.sub(r'[^a-z0-9]', '_', name)}{{{', '.join(places)}}};\n"
        target = pathlib.Path(output, name + ".cpp" if name.endswith(".cu") else name)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
