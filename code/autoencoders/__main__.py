"""`python -m autoencoders list | train NAME | records NAME`: the recipes, and the sweeps of them, from a terminal."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from autoencoders import data, evaluation, populations, recipes, runs, training


def _list() -> None:
    for name in recipes.names():
        recipe = recipes.get(name)
        numbers = f"m = {recipe.latent}" if isinstance(recipe, recipes.Recipe) else f"of {recipe.of.name}"
        print(f"{name:26} {recipe.network:12} {recipe.data:8} {numbers:18} {recipe.epochs:3} epochs  {recipe.expected}")


def _train(arguments: argparse.Namespace) -> None:
    changes = {k: v for k in ("data", "epochs") if (v := getattr(arguments, k)) is not None}
    recipe = recipes.get(arguments.name).replace(**changes)
    folder = Path(arguments.out or f"runs/{arguments.name}-{arguments.seed}")
    model, history = recipe.train(arguments.seed, device=arguments.device, checkpoint=folder / "checkpoint.safetensors")
    measured, said = _measure(recipe, model.cpu(), arguments.seed)
    result = dict(recipe=dataclasses.asdict(recipe), seed=arguments.seed, history=history.records) | measured
    runs.write_tensors(folder / "model.safetensors", dict(model.state_dict()), dict(recipe=result["recipe"]))
    (folder / "run.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"{said}; weights, history and checkpoint are in {folder}")


def _measure(recipe: Any, model: Any, seed: int) -> tuple[dict[str, float], str]:
    """What a trained model does on the test split, as numbers and in words."""
    if isinstance(recipe, recipes.PriorRecipe):
        bits = recipe.bits_per_code(model, "test", seed)
        return dict(test_bits_per_code=bits), f"test {bits:.3f} bits a code"
    test = data.load(recipe.data).test.images
    if recipe.is_variational:
        distortion, rate = evaluation.mean_terms(model, test, recipe.objective_function())
        found = dict(test_distortion=distortion, test_rate=rate)
        return found, f"test distortion {distortion:.2f} + rate {rate:.2f} = {distortion + rate:.2f} nats per picture"
    found = dict(test_mse=evaluation.mse(model, test))
    return found, f"test MSE {found['test_mse']:.5f}"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; a user's mistake prints its reason and gives exit status 2."""
    parser = argparse.ArgumentParser("python -m autoencoders", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name every recipe")
    train = commands.add_parser("train", help="train one; run the same line again to resume a run that was stopped")
    train.add_argument("name")
    train.add_argument("--data", help="another data set, or a folder of images")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--epochs", type=int)
    train.add_argument("--device", help="cuda, mps or cpu (default: the first there is)")
    train.add_argument("--out", help="folder for weights, history and checkpoint (default: runs/NAME-SEED)")
    records = commands.add_parser("records", help="train and measure a sweep; again, to resume one that was stopped")
    records.add_argument("name", choices=populations.names())
    records.add_argument("--out", help="file of one JSON line a run (default: NAME.jsonl)")
    records.add_argument("--package", action="store_true", help="then replace the records that come with the package")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "list":
            _list()
        elif arguments.command == "train":
            _train(arguments)
        else:
            path = arguments.out or f"{arguments.name}.jsonl"
            found = populations.make(arguments.name, path)
            print(f"{len(found)} records are in {path}")
            if arguments.package:
                print(f"and in {populations.package(arguments.name, found)}")
    except (ValueError, OSError, training.NonFiniteLoss) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
