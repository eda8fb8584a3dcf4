"""Reads the event file of a run folder with TensorBoard's own reader and compares it with events.jsonl.

    python read_tensorboard.py RUN

Needs the Python package tensorboard (2.21.0). Prints the number of tags and of values; exit code 1 if a number of
events.jsonl is missing in the event file, or differs from it by more than the rounding to float32.
"""

import json
import math
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

run = pathlib.Path(sys.argv[1])
accumulator = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
accumulator.Reload()
tags = accumulator.Tags()
read = {}
for tag in tags["scalars"]:
    for event in accumulator.Scalars(tag):
        read[tag, event.step] = (event.value, event.wall_time)
for tag in tags["tensors"]:  # TensorBoard turns simple values into tensors when it reads them.
    for event in accumulator.Tensors(tag):
        read[tag, event.step] = (event.tensor_proto.float_val[0], event.wall_time)


def float32(value):
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


wanted = {}
for line in (run / "events.jsonl").read_text().splitlines():
    event = json.loads(line)
    if event["type"] not in ("step", "evaluation"):
        continue
    prefix = "eval/" if event["type"] == "evaluation" else ""
    metrics = dict(event["metrics"])
    if event["type"] == "step":
        metrics["epoch"] = event["epoch"]
    for name, value in metrics.items():
        wanted[prefix + name, event["step"]] = float32(float(value))

wrong = [
    key
    for key, value in wanted.items()
    if key not in read or not (read[key][0] == value or math.isnan(value) and math.isnan(read[key][0]))
]
print(f"{len({tag for tag, _ in read})} tags, {len(read)} values; {len(wanted)} in events.jsonl, {len(wrong)} wrong")
sys.exit(1 if wrong or len(read) != len(wanted) else 0)
