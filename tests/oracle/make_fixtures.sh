#!/bin/sh
# Makes tests/fixtures again (or, with an argument, the same tree in another folder). Half a minute on two cores.
#   ORACLE=.../oracle PYTHON=.venv/bin/python tests/oracle/make_fixtures.sh [OUT]
# ORACLE is the folder that holds make_arch.py and make_traces.py, PYTHON an interpreter with its requirements.txt installed.
set -eu
export PYTHONDONTWRITEBYTECODE=1 TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
# the specs name the model and the text relative to themselves, so that OUT has to hold a copy of them at oracle/specs
out=${1:-$here/..}
mkdir -p "$out/fixtures"
out=$(cd "$out" && pwd)
if [ "$out/oracle" != "$here" ] && ! [ "$out/oracle" -ef "$here" ]; then
  mkdir -p "$out/oracle" && cp -R "$here/specs" "$out/oracle/"
fi
specs=$out/oracle/specs
fixtures=$out/fixtures

"$python" "$here/make_text.py" --out "$fixtures/text/pairs.jsonl"
"$python" "$here/make_tokenizer.py" --pairs "$fixtures/text/pairs.jsonl" --out "$fixtures/tokenizer"
"$python" "$here/make_parquet.py" --out "$fixtures/parquet"
"$python" "$here/make_splits.py" --out "$fixtures/splits/trees.jsonl"
"$python" "$here/make_tokenizer_configs.py" --tokenizer "$fixtures/tokenizer" --out "$fixtures/tokenizer-configs"
"$python" "$here/make_chat.py" --tokenizer "$fixtures/tokenizer" --out "$fixtures/chat"
"$python" "$here/make_jinja.py" --out "$fixtures/jinja"
"$python" "$ORACLE/make_arch.py" --spec "$specs/models.json" --out "$fixtures/models"
"$python" "$here/make_tokenizer.py" --copy "$fixtures/tokenizer" --out "$fixtures/models/llama-tiny"
"$python" "$ORACLE/make_traces.py" --spec "$specs/traces.json" --out "$fixtures/traces"
rm -f "$fixtures"/traces/*/steps.fp32.jsonl
