"""Names that public catalogues give to accelerators and vendors, and the ids they have here.

Used by the importers of this folder. A name that is not here is not guessed: the reader skips or reports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# Keys are lower case with single hyphens; `silicon_id` brings a name into that form.
SILICON_IDS: Mapping[str, str] = MappingProxyType(
    {
        "a100-80gb": "a100-80gb",
        "a100-sxm4-80gb": "a100-80gb",
        "h100": "h100",
        "h100-80gb": "h100",
        "h100-sxm": "h100",
        "h100-sxm5": "h100",
        "h100-80gb-hbm3": "h100",
        "h100-mega-80gb": "h100",
        "h100-mega": "h100",
        "h200": "h200",
        "h200-sxm": "h200",
        "h200-141gb": "h200",
        "b200": "b200",
        "b200-sxm": "b200",
        "b300": "b300",
        "b300-sxm6": "b300",
        "gb200": "gb200",
        "gb300": "gb300",
        "vr200": "vr200",
        "l40s": "l40s",
        "mi300x": "mi300x",
        "mi325x": "mi325x",
        "mi355x": "mi355x",
        "mi450": "mi450",
        "trainium": "trainium1",
        "trainium1": "trainium1",
        "trainium2": "trainium2",
        "trainium3": "trainium3",
        "inferentia2": "inferentia2",
        "tpu-v5e": "tpu-v5e",
        "tpu-v5litepod": "tpu-v5e",
        "v5litepod": "tpu-v5e",
        "tpu-v5p": "tpu-v5p",
        "v5p": "tpu-v5p",
        "tpu-v6e": "tpu-v6e",
        "v6e": "tpu-v6e",
        "tpu-v7": "tpu-v7",
        "tpu7x": "tpu-v7",
    }
)

# Names that stand for a slice of many chips: the price of one chip does not follow from the row.
SLICE_PREFIXES = ("tpu-",)

VENDOR_IDS: Mapping[str, str] = MappingProxyType(
    {
        "amazon": "aws",
        "google": "gcp",
        "oracle": "oci",
        "lambdalabs": "lambda",
        "lambda-labs": "lambda",
        "microsoft": "azure",
    }
)


def silicon_id(name: str, table: Mapping[str, str] = SILICON_IDS, memory_gib: float | None = None) -> str | None:
    """The silicon id for an accelerator's name; None when the table does not know it.

    A bare `A100` was sold with 40 and with 80 GB: it counts as the 80 GB part only if the memory says so.
    """
    key = "-".join(name.strip().lower().replace("_", "-").split())
    key = key.removeprefix("nvidia-").removeprefix("amd-").removeprefix("instinct-")
    if key in table:
        return table[key]
    if key == "a100" and memory_gib is not None and memory_gib >= 75:
        return table.get("a100-80gb")
    return None


def vendor_id(name: str) -> str:
    """The vendor id for a provider's name: known names by table, others in lower case."""
    key = name.strip().lower().replace(" ", "-").replace("_", "-")
    return VENDOR_IDS.get(key, key)
