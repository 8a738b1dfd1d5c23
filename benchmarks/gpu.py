"""Training on a GPU: tokens a second in fp32, tf32 and bf16, the share of a step in LSTM kernels; sparse LSTM layers.

Run where a GPU is at hand: python benchmarks/gpu.py. It makes up sentences, so it needs no data.
"""

import sys
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from measure import row, save
from seqloom.nn import Recurrent, SparseLSTM

SHAPE = {"batch": 64, "time": 32, "size": 300, "hidden": 300, "layers": 2}
STEPS, ROUNDS = 20, 7
WIDTH, BATCH, TIME, FRACTIONS = 1725, 80, 70, (0.5, 0.66666)
GOAL = 1.3
"""How many times its share of a dense layer's time a sparse layer may take."""


def main() -> None:
    """Measure, print, and write benchmarks/results/gpu_train.json and gpu_sparse_lstm.json."""
    if not torch.cuda.is_available():
        sys.exit("no GPU here; nothing measured")
    rows = {precision: measured(precision) for precision in ("fp32", "tf32", "bf16")}
    save("gpu_train", [_row(precision, rows) for precision in rows])
    save("gpu_sparse_lstm", sparse("cuda"))


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


def sparse(device: str) -> Iterator[dict[str, Any]]:
    """Forward and backward through sparse layers, beside a dense one as wide."""
    x = torch.randn(BATCH, TIME, WIDTH, device=device, requires_grad=True)
    lengths, slope = torch.full((BATCH,), TIME), torch.randn(BATCH, TIME, WIDTH, device=device)

    def taken(layer: torch.nn.Module, *more: Any) -> float:
        def step() -> None:
            layer(x, *more)[0].backward(slope)

        return median(_timed(step) for _ in range(ROUNDS)) / STEPS

    dense = taken(torch.nn.LSTM(WIDTH, WIDTH, batch_first=True).to(device))
    for fraction in FRACTIONS:
        layer = SparseLSTM(WIDTH, WIDTH, reduce_in=fraction, reduce_out=fraction).to(device)
        shapes = f"{layer.blocks.report()}, batch {BATCH}, {TIME} steps, forward and backward"
        yield row(
            "gpu_sparse_lstm",
            1000 * taken(layer, lengths),
            1000 * GOAL * dense * layer.blocks.share,
            rival_name=f"{GOAL} x density x dense",
            unit="ms",
            shapes=shapes,
            packages=["torch"],
            rounds=ROUNDS,
            headline=True,
        )


def _timed(step: Any) -> float:
    step()
    _wait()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _share(kernels: Any) -> float:
    spent = {one.key: one.self_device_time_total for one in kernels}
    recurrent = sum(
        value for name, value in spent.items() if any(word in name.lower() for word in ("lstm", "rnn", "gemm"))
    )
    return recurrent / max(1e-9, sum(spent.values()))


if __name__ == "__main__":
    main()
