"""transformers' side of bench/generate.ts, its child: `generate` as a user would call it, fp32 on the CPU, waiting for
each round to be asked for. Reads one JSON request a line and answers each with one JSON line; the first line out says
that the model is there.
"""

import json
import os
import sys
import time

sys.dont_write_bytecode = True
# As on our side: on a shared machine libgomp's spinning threads cost either several times what they save.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
import transformers  # noqa: E402

folder, threads = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(threads)
transformers.utils.logging.disable_progress_bar()
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
# No token ends a text, so that both sides write as many.
model.generation_config.eos_token_id = None
model.generation_config.pad_token_id = 0
print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}), flush=True)

for line in sys.stdin:
    request = json.loads(line)
    prompts = torch.tensor(request["prompts"])
    torch.manual_seed(request["seed"])
    start = time.perf_counter()
    texts = model.generate(
        prompts,
        attention_mask=torch.ones_like(prompts),
        max_new_tokens=request["newTokens"],
        **request["sampling"],
    )
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "tokens": texts[:, prompts.shape[1] :].tolist()}), flush=True)
