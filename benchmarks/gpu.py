"""Training on a GPU: tokens a second in fp32, tf32 and bf16, and the share of a step in LSTM kernels.

Run where a GPU is at hand: python benchmarks/gpu.py. It makes up sentences, so it needs no data.
"""

import sys
import time
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from measure import row, save
from seqloom.nn import Recurrent

SHAPE = {"batch": 64, "time": 32, "size": 300, "hidden": 300, "layers": 2}
STEPS, ROUNDS = 20, 7


def main() -> None:
    """Measure, print, and write benchmarks/results/gpu_train.json."""
    if not torch.cuda.is_available():
        sys.exit("no GPU here; nothing measured")
    rows = {precision: measured(precision) for precision in ("fp32", "tf32", "bf16")}
    save("gpu_train", [_row(precision, rows) for precision in rows])


def _row(precision: str, rows: dict[str, tuple[float, float]]) -> dict[str, Any]:
    speed, share = rows[precision]
    shapes = ", ".join(f"{name} {value}" for name, value in SHAPE.items())
    return row(
        "gpu_train",
        speed,
        rows["fp32"][0],
        rival_name="seqloom in fp32",
        unit="tokens/s",
        shapes=f"{torch.cuda.get_device_name()}: {shapes}; {share:.0%} of a step in LSTM kernels",
        packages=["torch"],
        rounds=ROUNDS,
        more_is_better=True,
        dtype=precision,
    )


def measured(precision: str) -> tuple[float, float]:
    """Tokens a second of training, and the share of GPU time in LSTM kernels."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.manual_seed(0)
    network = Recurrent(
        "lstm", SHAPE["size"], SHAPE["hidden"], layers=SHAPE["layers"], bidirectional=True
    ).cuda()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x = torch.randn(SHAPE["batch"], SHAPE["time"], SHAPE["size"], device="cuda")
    lengths = torch.full((SHAPE["batch"],), SHAPE["time"])

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
            loss = network(x, lengths).states.float().square().mean()
        loss.backward()
        optimizer.step()

    times = [_timed(step) for _ in range(ROUNDS)]
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        _timed(step)
    return STEPS * SHAPE["batch"] * SHAPE["time"] / median(times), _share(seen.key_averages())


def _timed(step: Any) -> float:
    step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def _share(kernels: Any) -> float:
    spent = {one.key: one.self_device_time_total for one in kernels}
    recurrent = sum(
        value for name, value in spent.items() if any(word in name.lower() for word in ("lstm", "rnn", "gemm"))
    )
    return recurrent / max(1e-9, sum(spent.values()))


if __name__ == "__main__":
    main()
