"""TRL's side of gpu.ts: its DPOTrainer on rows that are tokens already, with each of the sizes of micro-batch that it is
asked to try. Weights and optimizer in the dtype that is asked for, SDPA attention, no gradient checkpointing (which is
slower), logging every step. A size for which the device has not enough memory is left out, with a word on stderr. Reads
its task as JSON and answers in JSON.
"""

import gc
import json
import os
import sys
import tempfile
import time

sys.dont_write_bytecode = True
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch  # noqa: E402
from datasets import Dataset, disable_caching, disable_progress_bars  # noqa: E402
from tokenizers import Tokenizer, models  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast  # noqa: E402
from transformers import PrinterCallback, TrainerCallback  # noqa: E402
from transformers.utils import logging as hf_logging  # noqa: E402
from trl import DPOConfig, DPOTrainer  # noqa: E402

spec = json.load(sys.stdin)
device, dtype = torch.device(spec["device"]), getattr(torch, spec["dtype"])
is_cuda = device.type == "cuda"
if not is_cuda:
    torch.set_num_threads(1)
disable_caching()
disable_progress_bars()
hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()


class TokenTrainer(DPOTrainer):
    def _prepare_dataset(self, dataset, *args, **kwargs):
        return dataset


class Times(TrainerCallback):
    """When each step ended, and its loss."""

    def __init__(self):
        self.ends, self.losses = [], []

    def on_step_end(self, args, state, control, **kwargs):
        if is_cuda:
            torch.cuda.synchronize(device)
        self.ends.append(time.perf_counter())

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def make_model():
    options = dict(attn_implementation="sdpa", dtype=dtype)
    if spec.get("model"):
        return AutoModelForCausalLM.from_pretrained(spec["model"], **options).to(device)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(**spec["config"]), **options)


def peak_bytes():
    if is_cuda:
        return torch.cuda.max_memory_allocated(device)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def run(size):
    if is_cuda:
        torch.cuda.init()
        torch.cuda.reset_peak_memory_stats(device)
    policy, reference = make_model(), make_model()
    reference.load_state_dict(policy.state_dict())
    rows = [dict(prompt_ids=p, chosen_ids=c, rejected_ids=r) for p, c, r in spec["rows"]]
    steps = spec["steps"] + 1
    args = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        beta=0.1,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=spec["pairs"] // size,
        max_length=None,
        max_steps=steps,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        adam_beta1=0.9,
        adam_beta2=0.95,
        max_grad_norm=2.0,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not is_cuda,
        bf16=False,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        dataloader_pin_memory=is_cuda,
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0}, unk_token="<pad>")),
        pad_token="<pad>",
        eos_token="<pad>",
    )
    trainer = TokenTrainer(
        model=policy,
        ref_model=reference,
        args=args,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows * steps),
    )
    times = Times()
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(times)
    trainer.train()
    seconds = [end - begun for begun, end in zip(times.ends, times.ends[1:])]
    name = f"TRL, micro-batches of {size} pairs"
    return dict(name=name, seconds=seconds, losses=times.losses, peakBytes=peak_bytes())


answers = []
for size in spec["trlBatches"]:
    try:
        answers.append(run(size))
    except torch.cuda.OutOfMemoryError:
        print(f"TRL has not enough memory for micro-batches of {size} pairs", file=sys.stderr)
    gc.collect()
    if is_cuda:
        torch.cuda.empty_cache()
print(json.dumps(answers))
