"""Make emoji.npz: Google's Noto emoji as 32 x 32 color pictures on white, from the npm package `emoji-datasource-google` 16.0.0.

Left out: the five skin-tone swatches, the middle finger, and every picture that is the same as an earlier one, pixel for pixel
(the flag of Bouvet Island is Norway's). What remains is split so that near copies never face each other across the splits: all
skin tones, genders and walking directions of one emoji form a *family*, and a family is in one split as a whole.
"""

import io
import json
import sys
import tarfile
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
from bundle import main, order, read
from PIL import Image

SEED = "autoencoders emoji 0"
SIZE = 32
GROUPS = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
LEFT_OUT = {"1F595"}  # the middle finger
SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
# Code points that only say how an emoji is drawn (joiner, presentation) or make a variant of it (gender, direction).
DROPPED = {"FE0F", "200D", "2640", "2642", "27A1", *SKIN_TONES}
# Woman, man -> person; girl, boy -> child; and so on: one family each.
PERSON, CHILD = "1F9D1", "1F9D2"
SAME = {
    "1F468": (PERSON,),
    "1F469": (PERSON,),
    "1F466": (CHILD,),
    "1F467": (CHILD,),
    "1F474": ("1F9D3",),  # old man, woman, person
    "1F475": ("1F9D3",),
    "1F934": ("1FAC5",),  # prince, princess, person with crown
    "1F478": ("1FAC5",),
    "1F936": ("1F385",),  # Mrs. Claus, Santa Claus
    "1F57A": ("1F483",),  # man, woman dancing
    "1F46B": (PERSON, "1F91D", PERSON),  # couples holding hands
    "1F46C": (PERSON, "1F91D", PERSON),
    "1F46D": (PERSON, "1F91D", PERSON),
    "1F48F": (PERSON, "2764", "1F48B", PERSON),  # kiss
    "1F491": (PERSON, "2764", PERSON),  # couple with heart
    "1F46A": (PERSON, CHILD),  # family
}


def family(unified: str) -> str:
    """The name that all variants of one emoji share."""
    points = [point for point in unified.split("-") if point not in DROPPED]
    points = [new for point in points for new in SAME.get(point, (point,))]
    if set(points) == {PERSON, CHILD}:  # parents with children, however many
        points = [PERSON, CHILD]
    if points == [PERSON, "1F384"]:  # Mx. Claus
        points = ["1F385"]
    return "-".join(points) or unified


def skin_tone(key: str) -> int:
    """0 without a tone, 1 (light) to 5 (dark), 6 where two people have different ones."""
    tones = {SKIN_TONES.index(point) + 1 for point in key.split("-") if point in SKIN_TONES}
    return 6 if len(tones) > 1 else tones.pop() if tones else 0


def splits(groups: list[int], families: list[str]) -> list[int]:
    """0 train, 1 validation, 2 test, by whole families: a tenth of each group's pictures to test, a tenth to validation."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(families):
        members[name].append(i)
    split = [0] * len(families)
    for group in range(len(GROUPS)):
        names = [name for name, indices in members.items() if groups[indices[0]] == group]
        tenth = groups.count(group) / 10
        filled = {2: 0, 1: 0}
        for name in sorted(names, key=lambda name: order(name, SEED)):
            # The first split that the whole family fits into, up to a tenth of the group; train otherwise.
            for target in filled:
                if filled[target] + len(members[name]) <= tenth + 1:
                    filled[target] += len(members[name])
                    for i in members[name]:
                        split[i] = target
                    break
    return split


def make(archive: tarfile.TarFile) -> Mapping[str, np.ndarray]:
    with Image.open(io.BytesIO(read(archive, f"img/google/sheets-clean/{SIZE}.png"))) as image:
        sheet = Image.new("RGBA", image.size, "white")
        sheet.alpha_composite(image.convert("RGBA"))
    pixels = np.asarray(sheet)[..., :3]
    images, labels, families, tones, seen = [], [], [], [], set()
    for entry in sorted(json.loads(read(archive, "emoji.json")), key=lambda entry: entry["sort_order"]):
        if entry["category"] not in GROUPS or entry["unified"] in LEFT_OUT:
            continue
        for key, variant in {"": entry, **entry.get("skin_variations", {})}.items():
            # Cells are two pixels wider than the picture: one transparent pixel on each side.
            left, top = (variant[at] * (SIZE + 2) + 1 for at in ("sheet_x", "sheet_y"))
            picture = pixels[top : top + SIZE, left : left + SIZE]
            if picture.tobytes() in seen:
                continue
            seen.add(picture.tobytes())
            images.append(picture)
            labels.append(GROUPS.index(entry["category"]))
            families.append(family(entry["unified"]))
            tones.append(skin_tone(key))
    split = splits(labels, families)
    number = {name: i for i, name in enumerate(dict.fromkeys(families))}
    # Pictures stay in Unicode's order, in which variants are neighbors and compress well; `order` shuffles and splits them.
    shuffled = sorted(range(len(images)), key=lambda i: (split[i], order(str(i), SEED)))
    return {
        "images": np.stack(images),
        "labels": np.array(labels, np.uint8),
        "family": np.array([number[name] for name in families], np.uint16),
        "skin_tone": np.array(tones, np.uint8),
        "order": np.array(shuffled, np.uint16),
        "split_sizes": np.array([split.count(i) for i in range(3)]),
    }


if __name__ == "__main__":
    sys.exit(main("emoji.npz", "emoji-datasource-google", "16.0.0", make))
