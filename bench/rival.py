"""TRL's side of a training benchmark, a child of train.ts: one of its trainers as a user would call it, on the same model
and rows in the same order, waiting before every round until it is told to go on. Speaks JSON lines; see turns.ts.

fp32 unless the case says bf16, SDPA attention, no gradient checkpointing (which is slower), logging every step, as on our side.
"""

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
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback  # noqa: E402
from transformers.utils import logging as hf_logging  # noqa: E402
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer  # noqa: E402

spec = json.loads(sys.argv[1])
one = spec["one"]
torch.set_num_threads(spec["threads"])
if "flush" in spec:
    torch.set_flush_denormal(spec["flush"])
if one.get("half") == "matmul":
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
disable_caching()
disable_progress_bars()
hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()


def peak_bytes() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class Rounds(TrainerCallback):
    def __init__(self):
        self.done, self.sums, self.begun, self.cpu = 0, {}, 0.0, 0.0

    def wait(self):
        if not sys.stdin.readline():
            os._exit(0)
        self.begun, self.cpu = time.perf_counter(), time.process_time()

    def on_train_begin(self, args, state, control, **kwargs):
        print(json.dumps({"ready": True}), flush=True)
        self.wait()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not logs or "loss" not in logs:
            return
        for name, value in logs.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.done += 1
        if self.done % one["steps"]:
            return
        seconds = time.perf_counter() - self.begun
        means = {name: value / one["steps"] for name, value in self.sums.items()}
        cpu = time.process_time() - self.cpu
        answer = {"seconds": seconds, "cpuSeconds": cpu, "metrics": means, "peakBytes": peak_bytes()}
        print(json.dumps(answer), flush=True)
        self.sums = {}
        self.wait()


tokenizer = AutoTokenizer.from_pretrained(spec["model"], local_files_only=True)
tokenizer.pad_token = tokenizer.pad_token or "<|padding|>"
load = lambda: AutoModelForCausalLM.from_pretrained(  # noqa: E731
    spec["model"], dtype=torch.float32, attn_implementation="sdpa", local_files_only=True
)
with open(spec["rows"]) as lines:
    data = Dataset.from_list([json.loads(line) for line in lines])

options = dict(
    output_dir=tempfile.mkdtemp(),
    per_device_train_batch_size=one["rows"],
    max_length=one["maxLength"],
    max_steps=spec["rounds"] * one["steps"],
    learning_rate=one.get("lr", 1e-6),
    lr_scheduler_type="constant",
    adam_beta1=0.9,
    adam_beta2=0.95,
    max_grad_norm=2.0,
    logging_steps=1,
    save_strategy="no",
    report_to="none",
    disable_tqdm=True,
    use_cpu=True,
    bf16=one.get("half") == "precision",
    gradient_checkpointing=False,
    train_sampling_strategy="sequential",
    dataloader_pin_memory=False,
)
if one.get("update") and not one.get("adapter"):  # TRL refuses the two together.
    update = one["update"]
    options |= dict(sync_ref_model=True, ref_model_mixup_alpha=update["alpha"], ref_model_sync_steps=update["tau"])
arguments = dict(model=load(), train_dataset=data, processing_class=tokenizer)
if one.get("adapter"):
    from peft import LoraConfig

    adapter = one["adapter"]
    arguments["peft_config"] = LoraConfig(
        task_type="CAUSAL_LM", r=adapter["r"], lora_alpha=adapter["alpha"], target_modules="all-linear"
    )
reference = {} if one.get("adapter") else dict(ref_model=load())
match one["method"]:
    case "sft":
        trainer = SFTTrainer(args=SFTConfig(completion_only_loss=True, **options), **arguments)
    case "kto":
        trainer = KTOTrainer(args=KTOConfig(beta=0.1, **options), **reference, **arguments)
    case method:
        loss = "ipo" if method == "ipo" else "sigmoid"
        trainer = DPOTrainer(args=DPOConfig(beta=0.1, loss_type=loss, **options), **reference, **arguments)
trainer.remove_callback(PrinterCallback)
trainer.add_callback(Rounds())
trainer.train()
