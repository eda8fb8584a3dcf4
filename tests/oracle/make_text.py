"""Writes text/pairs.jsonl: invented preference pairs in the form of the Anthropic HH transcripts.

    python make_text.py --out ../fixtures/text/pairs.jsonl

Sentences are put together from the word lists below with a fixed seed. A chosen answer is polite and keeps to the subject; a
rejected one is curt or talks of another subject. The rows named in SPECIAL are written by hand and stand at fixed places:
they are the rough edges that a loader has to live with.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

ROWS = 96
SEED = 20

# subject: (what somebody wants to do, sentences of advice)
SUBJECTS: dict[str, tuple[str, list[str]]] = {
    "bread": (
        "bake a loaf of bread",
        [
            "Mix flour, water, salt and a little yeast.",
            "Knead the dough for ten minutes.",
            "Let the dough rest in a warm place.",
            "Bake the loaf until the crust is brown.",
            "Wait an hour before you cut it.",
        ],
    ),
    "tomatoes": (
        "grow tomatoes",
        [
            "Plant the seeds in small pots in spring.",
            "Put the pots in a sunny window.",
            "Water the plants in the morning.",
            "Tie the plants to a stick as they grow.",
            "Pick the tomatoes when they are red.",
        ],
    ),
    "bicycle": (
        "fix a flat tyre on my bicycle",
        [
            "Turn the bicycle over and take off the wheel.",
            "Pull out the tube and find the hole.",
            "Clean the tube and glue on a patch.",
            "Check the tyre for glass before you close it.",
            "Pump it up and ride a short way.",
        ],
    ),
    "chess": (
        "learn to play chess",
        [
            "Learn how each piece moves.",
            "Play short games with a friend.",
            "Look at your lost games and find one mistake.",
            "Solve a small puzzle every day.",
            "Think of what the other side wants to do.",
        ],
    ),
    "garden pond": (
        "make a small pond in the garden",
        [
            "Dig a hole with one flat side.",
            "Cover the ground with sand and a liner.",
            "Fill the pond with rain water.",
            "Put some stones at the side so that frogs can climb out.",
            "Plant something green in the water.",
        ],
    ),
    "sleep": (
        "sleep better at night",
        [
            "Go to bed at the same time every day.",
            "Keep the room dark and cool.",
            "Drink no coffee in the afternoon.",
            "Leave the phone in the kitchen.",
            "Read a quiet book before you turn off the light.",
        ],
    ),
    "dog": (
        "teach my dog to sit",
        [
            "Hold a treat above the nose of the dog.",
            "Say the word once and wait.",
            "Give the treat as soon as the dog sits.",
            "Train for a few minutes at a time.",
            "Be patient and never shout.",
        ],
    ),
    "train trip": (
        "plan a trip by train",
        [
            "Look at the map and choose three towns.",
            "Book the long trains early.",
            "Take a small bag and good shoes.",
            "Leave an hour between two trains.",
            "Bring some food and a book.",
        ],
    ),
    "windows": (
        "clean the windows",
        [
            "Choose a day with clouds so that the glass stays cool.",
            "Wash the frame first.",
            "Use warm water with a little soap.",
            "Pull the water down with a rubber blade.",
            "Dry the corners with a soft cloth.",
        ],
    ),
    "guitar": (
        "tune a guitar",
        [
            "Start with the thickest string.",
            "Turn the peg slowly and listen.",
            "Use a small tuner if you have one.",
            "Check all strings again at the end.",
            "New strings need a day to settle.",
        ],
    ),
    "soup": (
        "cook a vegetable soup",
        [
            "Cut two carrots, an onion and a potato.",
            "Fry the onion in a little oil.",
            "Add water and cook it for twenty minutes.",
            "Taste it and add salt and pepper.",
            "Serve the soup with bread.",
        ],
    ),
    "stars": (
        "find the north star",
        [
            "Go to a dark place and look for seven bright stars.",
            "Follow the line of the last two stars.",
            "The north star is not very bright.",
            "It stays in one place all night.",
            "A map of the sky helps you at first.",
        ],
    ),
}

QUESTIONS = [
    "How do I {want}?",
    "What is the best way to {want}?",
    "I want to {want}. Where do I start?",
    "Can you help me to {want}?",
    "My sister would like to {want}. What should she know?",
    "Is it hard to {want}?",
]
FOLLOW_UPS = [
    "Thank you. What comes next?",
    "And what if I have little time?",
    "Is there anything else?",
    "What do I need for that?",
]
OPENINGS = ["Sure.", "Of course.", "That is a good plan.", "Yes, gladly.", "Here is what I would do."]
CLOSINGS = ["Have fun!", "Good luck!", "Tell me how it goes.", "Take your time."]
CURT = ["I do not know.", "No.", "Ask somebody else.", "Why would you do that?", "It does not matter.", "Maybe."]


class Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, values):
        return values[self.random.randrange(len(values))]

    def advice(self, subject: str, count: int) -> str:
        tips = SUBJECTS[subject][1]
        start = self.random.randrange(len(tips))
        return " ".join(tips[(start + i) % len(tips)] for i in range(count))

    def good(self, subject: str, count: int) -> str:
        text = f"{self.pick(OPENINGS)} {self.advice(subject, count)}"
        return f"{text} {self.pick(CLOSINGS)}" if self.random.random() < 0.4 else text

    def bad(self, subject: str) -> str:
        other = self.pick([s for s in SUBJECTS if s != subject])
        kind = self.random.randrange(3)
        if kind == 0:
            return self.pick(CURT)
        if kind == 1:
            return self.advice(other, self.random.randint(1, 3))
        return f"{self.pick(CURT)} {self.advice(other, 1)}"

    def prompt(self, subject: str, turns: int) -> str:
        text = human(self.pick(QUESTIONS).format(want=SUBJECTS[subject][0]))
        for _ in range(turns - 1):
            text += f" {self.pick(OPENINGS)} {self.advice(subject, 1)}" + human(self.pick(FOLLOW_UPS))
        return text


def human(text: str) -> str:
    return f"\n\nHuman: {text}\n\nAssistant:"


def pair(prompt: str, chosen: str, rejected: str) -> dict[str, str]:
    return {"chosen": prompt + chosen, "rejected": prompt + rejected}


def special(w: Writer) -> dict[int, dict[str, str]]:
    """Rows at fixed places (0-based), each with the reason why it is there."""
    long_answer = " " + " ".join(w.advice(s, 3) for s in ("bread", "soup", "tomatoes", "windows"))
    very_long_prompt = w.prompt("chess", 8)
    return {
        # text that is not ASCII: composed and decomposed accents, CJK, emoji with a joiner and a skin tone
        2: pair(human("Wie heißt der Käse aus Gruyères?"), " Le Gruyère, une pâte dure. Très bon à Noël!", " Ce n'est pas sûr."),
        9: pair(human("日本の首都はどこですか。"), " 東京です。日本で一番大きい町です。", " 分かりません。 🙂"),
        14: pair(human("Cafe\u0301 or tea? 🫖"), " Cafe\u0301, please! ☕👩🏽‍🍳", " Tea 🍵… or naïve “nothing”."),
        # separators at which a reader that knows more than \n would cut the row: U+2028, U+2029, U+0085; and U+FEFF
        21: pair(
            human("Give me two lines.\u2028Short ones, please."),
            " The sun is up.\u2028The bread is warm.\u0085Good morning!",
            " No.\u2029No.",
        ),
        33: pair(human("Where does a byte\ufeffmark go?"), " At the start,\ufeff never inside.", "\ufeff Everywhere\u00a0or nowhere."),
        # white space, tabs, code
        38: pair(
            human("Show me a list.\n\n  * one\n\t* two"),
            "\n\n  1. one\n\t2. two  \n\n    x = y + 10;  # 3.14",
            " \t \n one,two ,, 2  3   4",
        ),
        # the chosen answer brings the end-of-sequence string with it
        26: pair(human("Say goodbye."), " Goodbye, and thank you!</s>", " Bye."),
        # a prompt alone that fills max_length = 96
        17: pair(very_long_prompt, " " + w.good("chess", 1), " No."),
        58: pair(w.prompt("train trip", 9), " " + w.good("train trip", 2), " " + w.bad("train trip")),
        # answers longer than max_length; the last two differ only in a part that is cut
        5: pair(human("Tell me all about the kitchen."), long_answer, " It is a room."),
        30: pair(human("What is a kitchen for?"), " No.", long_answer),
        41: pair(human("What do people do at home?"), long_answer + " So be it.", long_answer + " Who knows?"),
        # two equal answers
        48: pair(human("Is water wet?"), " Yes, it is.", " Yes, it is."),
        # an answer of one word without a space, and one of a single character
        52: pair(human("Yes or no?"), "Yes", "-"),
        # the last turn of the human has no text
        62: pair("\n\nHuman: Hello.\n\nAssistant: Hello! How can I help you?\n\nHuman:\n\nAssistant:", " Are you still there?", " Bye."),
        # not to be scored: different prompts, an empty answer, an answer of white space
        70: {
            "chosen": human("Is it raining?") + " Take an umbrella.",
            "rejected": human("Is it snowing?") + " Take a hat.",
        },
        73: pair(human("What is left?"), " Nothing but a little rain.", ""),
        76: pair(human("And now?"), "  ", " Now we wait."),
    }


def rows() -> list[dict[str, str]]:
    w = Writer(SEED)
    fixed = special(w)
    subjects = list(SUBJECTS)
    out: list[dict[str, str]] = []
    prompt, subject, repeat = "", "", 0
    while len(out) < ROWS:
        if len(out) in fixed:
            out.append(fixed[len(out)])
            continue
        if repeat == 0:  # a fifth of the prompts serve two or three rows
            subject = w.pick(subjects)
            prompt = w.prompt(subject, w.pick([1, 1, 1, 2]))
            repeat = w.pick([1, 1, 1, 1, 1, 1, 1, 1, 2, 3])
        repeat -= 1
        out.append(pair(prompt, " " + w.good(subject, w.random.randint(1, 4)), " " + w.bad(subject)))
    return out


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows())
    args.out.write_bytes(lines.encode("utf-8"))


if __name__ == "__main__":
    main()
