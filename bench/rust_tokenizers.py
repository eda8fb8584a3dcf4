"""Tokenisation with the Rust library, for tokenize.ts: tokenizer.json and a file of texts (a JSON array) are its arguments;
answers each line it reads with {"seconds", "tokens"}."""

import json
import sys
import time

from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
with open(sys.argv[2]) as file:
    texts = json.load(file)
for _ in sys.stdin:
    begun = time.perf_counter()
    tokens = sum(len(tokenizer.encode(text).ids) for text in texts)
    print(json.dumps({"seconds": time.perf_counter() - begun, "tokens": tokens}), flush=True)
