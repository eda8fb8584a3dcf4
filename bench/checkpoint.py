"""Load and save of a checkpoint with safetensors and torch, a child of checkpoint.ts: {"load", "save"} in seconds for each
line that it reads; the folder is its argument."""

import json
import os
import sys
import time

import torch
from safetensors.torch import load_file, save_file

folder = sys.argv[1]
for _ in sys.stdin:
    begun = time.perf_counter()
    # Memory of their own, as training needs it; load_file alone only maps the file.
    tensors = {name: t.clone() for name, t in load_file(os.path.join(folder, "model.safetensors")).items()}
    loaded = time.perf_counter()
    out = os.path.join(folder, "saved-by-python.safetensors")
    save_file(tensors, out, {"format": "pt"})
    with open(out, "rb") as file:
        os.fsync(file.fileno())
    saved = time.perf_counter()
    os.unlink(out)
    del tensors
    print(json.dumps({"load": loaded - begun, "save": saved - loaded}), flush=True)
