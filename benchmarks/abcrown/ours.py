"""Our answers, in a process of its own.

    python ours.py SECONDS < INSTANCES > ANSWERS

Each line of INSTANCES is an ONNX and a VNN-LIB file, and is answered by one line of JSON. Limits of time count CPU time.
"""

import json
import sys
import time

import torch


def main() -> None:
    torch.set_num_threads(1)
    # the limits count CPU time, which other processes do not take; classes keep the function that they find when they are made
    time.monotonic = time.process_time
    from our_answers import answer, counted

    counted()
    for line in sys.stdin:
        print(json.dumps(answer(*line.split(), float(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
