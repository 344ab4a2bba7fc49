"""Alibaba openb (cluster-trace-gpu-v2023): nodes with GPUs, and pods that may share them, use them alone or in numbers.

Nodes: `sn,cpu_milli,memory_mib,gpu,model`. Pods: `name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec,...]`, where
`gpu_milli` counts for each GPU and `gpu_spec` lists the models allowed, joined by `|`.
"""

from __future__ import annotations

from typing import Literal

import polars as pl

from argosy.files.traces._source import Source
from argosy.files.traces._table import Rule, between, read, refuse
from argosy.model.fleet import WHOLE_MILLI, Node, TraceAsk, frame

MOST_MILLI = 10**12
TWICE = "the name stands here twice"
SERVER = (("cpu_milli", MOST_MILLI), ("memory_mib", MOST_MILLI), ("gpu", 1024))
POD = (("cpu_milli", MOST_MILLI), ("memory_mib", MOST_MILLI), ("num_gpu", 10**6))


class Trace(Source):
    """Nodes or pods of openb."""

    kind: Literal["openb"] = "openb"

    def nodes(self) -> pl.DataFrame:
        """One row per server; a server without GPUs has no silicon."""
        columns = {"sn": pl.String, "cpu_milli": pl.Int64, "memory_mib": pl.Int64, "gpu": pl.Int64, "model": pl.String}
        rules = (
            Rule((pl.col("gpu") > 0) & pl.col("model").is_null(), "model", "a server with GPUs needs a model"),
            *(between(name, most) for name, most in SERVER),
        )
        table = read(self.path, columns, empty=("model",), rules=rules)
        refuse(self.path, table, Rule(pl.col("sn").is_duplicated(), "sn", TWICE))
        return frame(
            Node,
            {
                "id": table["sn"],
                "silicon": table["model"].fill_null(""),
                "accelerators": table["gpu"],
                "cpu_milli": table["cpu_milli"],
                "memory_mib": table["memory_mib"],
                "domain": table["sn"],
            },
        )

    def asks(self) -> pl.DataFrame:
        """One row per pod, in the order of the file, which is that of creation."""
        columns = {
            "name": pl.String,
            "cpu_milli": pl.Int64,
            "memory_mib": pl.Int64,
            "num_gpu": pl.Int64,
            "gpu_milli": pl.Int64,
            "gpu_spec": pl.String,
        }
        many, share = pl.col("num_gpu"), pl.col("gpu_milli")
        part = (many > 0) & ~share.is_between(1, WHOLE_MILLI)
        rules = (
            *(between(name, most) for name, most in POD),
            Rule(part, "gpu_milli", f"a share of a GPU is 1 to {WHOLE_MILLI}"),
            Rule((many > 1) & ~part & (share != WHOLE_MILLI), "gpu_milli", "several GPUs cannot be shared"),
        )
        table = read(self.path, columns, optional=("gpu_spec",), empty=("gpu_spec",), rules=rules)
        refuse(self.path, table, Rule(pl.col("name").is_duplicated(), "name", TWICE))
        return frame(
            TraceAsk,
            {
                "id": table["name"],
                "accelerators": table["num_gpu"],
                "share_milli": table.select(
                    pl.when(pl.col("num_gpu") > 0).then(share).otherwise(WHOLE_MILLI)
                ).to_series(),
                "cpu_milli": table["cpu_milli"],
                "memory_mib": table["memory_mib"],
                "silicon": table["gpu_spec"].fill_null(""),
                "members": pl.Series([1] * len(table), dtype=pl.Int64),
            },
        )
