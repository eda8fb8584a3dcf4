"""Self-BLEU of invented texts by NLTK, for packages/reanchor/src/stats/diversity.ts.

    python make_diversity.py --out ../fixtures/stats/diversity.json

Needs nltk 3.10 alone. Each text is a hypothesis against all others of its set: n-grams of 1 to 3 in equal weights, smoothing
method 1; once on words, once on characters.
"""

import argparse
import json
import pathlib
import random

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu


def self_bleu(texts):
    smoothing = SmoothingFunction().method1
    weights = (1 / 3,) * 3
    return [
        sentence_bleu(texts[:i] + texts[i + 1 :], text, weights=weights, smoothing_function=smoothing)
        for i, text in enumerate(texts)
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=pathlib.Path, required=True)
    draw = random.Random(7)
    words = "the cat sat on a mat and dog ran far 猫 😀 é".split()
    sets = [
        ["the cat sat on the mat", "the cat sat on the mat", "a dog ran far"],
        ["one", "one two", "three four five six"],
        ["a a a a", "a a b", "b"],
        ["unlike", "anything else"],
    ]
    for size in (2, 3, 5, 12):
        sets.append([" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(size)])
    rows = [
        {"texts": texts, "words": self_bleu([t.split() for t in texts]), "characters": self_bleu([list(t) for t in texts])}
        for texts in sets
    ]
    out = parser.parse_args().out
    out.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")


main()
