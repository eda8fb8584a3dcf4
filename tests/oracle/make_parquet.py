"""Writes small Parquet files that between them use the codecs, page versions and encodings that data sets have."""

import argparse
import datetime
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

chat = pa.struct([("role", pa.string()), ("content", pa.string())])
table = pa.table(
    {
        "prompt": [f"How many legs have {n} spiders?" for n in range(40)],
        "chosen": pa.array(
            [[{"role": "user", "content": "x"}, {"role": "assistant", "content": f"{8 * n}"}] if n % 7 else None for n in range(40)],
            pa.list_(chat),
        ),
        "rejected": pa.array([[f"{n}"] * (n % 3) for n in range(40)], pa.list_(pa.string())),
        "score": pa.array([n / 4 if n % 5 else None for n in range(40)], pa.float64()),
        "index": pa.array(range(40), pa.int64()),
        "label": pa.array([n % 2 == 0 for n in range(40)]),
    }
)
forms = {
    "snappy": dict(compression="snappy"),
    "gzip-v2": dict(compression="gzip", data_page_version="2.0", row_group_size=16),
    "zstd": dict(compression="zstd", data_page_size=256, use_dictionary=["prompt"]),
    "brotli-v2": dict(compression="brotli", data_page_version="2.0", use_dictionary=False),
    "lz4": dict(compression="lz4", row_group_size=10),
    "delta": dict(
        compression="none",
        use_dictionary=False,
        column_encoding={"prompt": "DELTA_BYTE_ARRAY", "index": "DELTA_BINARY_PACKED", "score": "BYTE_STREAM_SPLIT"},
        data_page_version="2.0",
    ),
}

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=pathlib.Path, required=True)
out = parser.parse_args().out
out.mkdir(parents=True, exist_ok=True)
for name, options in forms.items():
    pq.write_table(table, out / f"{name}.parquet", store_schema=False, write_statistics=False, **options)

call = pa.struct([("name", pa.string()), ("arguments", pa.struct([("x", pa.float64()), ("n", pa.int64())]))])
message = pa.struct(
    [("role", pa.string()), ("content", pa.string()), ("at", pa.timestamp("us")), ("tool_calls", pa.list_(call))]
)
calls = [{"name": "f", "arguments": {"x": 2.0, "n": 2**60}}]
noon = datetime.datetime(2024, 5, 17, 12)
nested = pa.table(
    {
        "messages": pa.array(
            [
                [
                    {"role": "user", "content": "q", "at": noon, "tool_calls": None},
                    {"role": "assistant", "content": "a", "at": noon, "tool_calls": calls},
                ]
            ],
            pa.list_(message),
        ),
        "label": pa.array([1.0], pa.float64()),
        "sizes": pa.array([[("a", 3.0)]], pa.map_(pa.string(), pa.float32())),
    }
)
pq.write_table(nested, out / "nested.parquet", compression="snappy", store_schema=False, write_statistics=False)
