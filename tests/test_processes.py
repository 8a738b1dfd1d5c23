import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource

import torch

from seqloom.processes import settle

settle()


def taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [torch.ones(2**22) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


print(torch.get_num_threads(), min(taken() for _ in range(6)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
@pytest.mark.parametrize("chosen", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}])
def test_memory_that_is_freed_stays_with_the_process_unless_the_user_chose_otherwise(chosen):
    kept = {
        name: value for name, value in os.environ.items() if "MALLOC" not in name and name != "GLIBC_TUNABLES"
    }
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], env=kept | chosen, capture_output=True, text=True, check=True
    )
    threads, faults = map(int, done.stdout.split())
    assert threads == 1
    # 8 times 16 MiB are 32,768 pages, 64 where they are large. The system may take some away, but not each time.
    assert (faults < 32) == (not chosen)
