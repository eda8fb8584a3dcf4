"""The arguments of TRL's trainers and of its command, with their defaults, as its dataclasses have them.

    python make_trl_arguments.py --out ../fixtures/trl/arguments.json

Writes {"versions": {package: version}, "classes": {class: {argument: default}}}. Defaults are those of the dataclass,
before `__post_init__`; one that JSON has no word for is its repr.
"""

import argparse
import dataclasses
import json
import warnings

warnings.filterwarnings("ignore")

import transformers
import trl
from transformers import TrainingArguments
from trl import DPOConfig, KTOConfig, ModelConfig, ScriptArguments, SFTConfig
from trl.experimental.cpo import CPOConfig
from trl.experimental.orpo import ORPOConfig
from trl.scripts.utils import DatasetMixtureConfig

CLASSES = (
    TrainingArguments,
    DPOConfig,
    KTOConfig,
    SFTConfig,
    CPOConfig,
    ORPOConfig,
    ModelConfig,
    ScriptArguments,
    DatasetMixtureConfig,
)


def default_of(field):
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = None
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return repr(value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    out = parser.parse_args().out
    classes = {cls.__name__: {f.name: default_of(f) for f in dataclasses.fields(cls)} for cls in CLASSES}
    versions = {"trl": trl.__version__, "transformers": transformers.__version__}
    with open(out, "w") as file:
        json.dump({"versions": versions, "classes": classes}, file, indent=1)
        file.write("\n")
