"""Make clothes.npz: Fashion-MNIST through the recipes of the digits, and random samples of the prior over its codes.

The pictures of articles of clothing are not in the package, and a page cannot wait for 55,000 of them. So this trains the VQ-VAE
and the PixelCNN of the chapter on priors, two epochs each, seed 0, and keeps the first samples that come, six for each class.
`record` says in JSON how they were made and what was measured. Some minutes on one core; Fashion-MNIST is downloaded or, where
Debian's package `dataset-fashion-mnist` is installed, read from there.
"""

import dataclasses
import json
import sys

import numpy as np
import torch
from bundle import DATA, npz

import autoencoders as ae

EPOCHS, EACH = 2, 6


def main() -> int:
    recipe = ae.recipes.get("pixelcnn-digits", "fashion")
    recipe = recipe.replace(of=recipe.of.replace(epochs=EPOCHS), epochs=EPOCHS)
    prior, _ = recipe.trained(0)
    model, test = recipe.quantized(0), recipe.of.dataset().test
    labels = torch.arange(10).repeat_interleave(EACH)
    codes = prior.sample(len(labels), labels, generator=torch.Generator().manual_seed(0))
    first = torch.stack([(test.labels == label).nonzero()[0, 0] for label in range(10)])
    with torch.no_grad():
        pictures = {
            "originals": test.images[first],
            "reconstructions": model(test.images[first]),
            "samples": model.decode_indices(codes),
        }
    record = dict(
        version=ae.__version__,
        seed=0,
        settings={k: v for k, v in dataclasses.asdict(recipe).items() if k != "expected"},
        test_mse=ae.evaluation.mse(model, test.images),
        perplexity=ae.rates.perplexity(model, test.images),
        test_bits=recipe.bits_per_code(prior, "test"),
    )
    arrays = {name: (255 * part.clamp(0, 1)).round().byte().numpy() for name, part in pictures.items()}
    arrays["record"] = np.frombuffer(json.dumps(record).encode(), np.uint8)
    (DATA / "clothes.npz").write_bytes(npz(arrays))
    print(json.dumps({k: v for k, v in record.items() if k != "settings"}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
