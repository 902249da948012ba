# %% [markdown]
# # wsssbench from Python
#
# Every `# %%` begins a cell: editors with notebooks run them one by one, `python examples/notebook.py` all of them, and
# `jupytext --to ipynb examples/notebook.py` makes a notebook. Start it in the checkout, where `configs/` is. With
# `SMOKE = True` a stage sees a handful of images and takes seconds: numbers mean nothing then.

# %%
from pathlib import Path

import numpy as np
from PIL import Image

import wsssbench

CONFIG = "configs/aeft_synthetic.py"
SMOKE = True
PICTURES = Path("pictures")

# %% [markdown]
# ## Run two experiments
#
# `run` is the command `wsssbench run`: what is in the cache is reused, what was interrupted goes on. `set` changes
# values of the config, `until` names the last stage. The first run has the config's own method, AEFT; the second one is
# global average pooling without erasing.

# %%
aeft = wsssbench.run(CONFIG, smoke=SMOKE, until="refine.crf")
gap = wsssbench.run(
    CONFIG,
    set={"name": "gap", "classifier.pooling": "GAP", "classifier.erasing": "none"},
    smoke=SMOKE,
    until="refine.crf",
)
print(aeft)
print(gap)

# %% [markdown]
# ## The ladder
#
# A list of dicts, one for each place where the label maps are scored; numbers are per cent.

# %%
ladder = [
    {"method": name, **line}
    for name, run in {"AEFT": aeft, "GAP": gap}.items()
    for line in run.ladder()
]
try:
    import pandas

    print(pandas.DataFrame(ladder)[["method", "rung", "miou", "precision", "recall", "threshold"]])
except ImportError:  # pandas is no requirement
    for line in ladder:
        print(
            f"{line['method']:5}{line['rung']:6}{line['miou']:6.1f}{line['precision']:6.1f}{line['recall']:6.1f}"
        )

# %% [markdown]
# ## Look at an image
#
# What a stage made is an array: `cam` (K, H, W), `scores` (1 + K, H, W), `label` and `prediction` (H, W). Here the
# hottest class of each pixel reddens the photo, beside the label that the dense CRF makes of it.

# %%
id = aeft.ids("train")[0]
photo = aeft.image(id)
heat = aeft.cam(id).max(axis=0)[:, :, None]  # (H, W, 1) in [0, 1]
reddened = photo * (1 - 0.6 * heat) + np.array([255, 0, 0]) * 0.6 * heat
classes = aeft.scores(id, "crf").argmax(axis=0).astype(np.uint8)  # 0 is the background

palette = Image.fromarray(classes)
palette.putpalette(np.random.default_rng(1).integers(64, 256, (256, 3), np.uint8).tobytes())
side_by_side = np.hstack([photo, reddened.astype(np.uint8), np.asarray(palette.convert("RGB"))])
PICTURES.mkdir(exist_ok=True)
Image.fromarray(side_by_side).save(
    PICTURES / f"{id}.png"
)  # a notebook shows an Image that ends a cell

# %% [markdown]
# ## Ask the classifier
#
# It takes a photo as it is, or a batch of normalised ones, and gives logits and maps.

# %%
logits = aeft.classifier()(photo).logits[0]
for index in logits.argsort(descending=True)[:3].tolist():
    print(f"{aeft.classes[index]:10}{logits[index].sigmoid():6.2f}")

# %% [markdown]
# ## Compare
#
# The numbers of several runs or sweeps, with the paired difference to the first one; `wsssbench compare` and
# `wsssbench report` make tables and a page of the same.

# %%
for row in wsssbench.compare(gap.directory, aeft.directory, rung="CAM"):
    print(row["row"], row["metric"], row["mean"], row["diff"], (row["ci_low"], row["ci_high"]))

# %% [markdown]
# ## Score a folder of files
#
# Anybody's label maps or CAMs against masks, as `wsssbench evaluate` does. Here the folder holds CAMs of the run
# above, so that the best of the thresholds is the oracle of its ladder.

# %%
dataset = aeft.artefacts.dataset
cams = aeft.artefacts.directories["cam"]
(masks,) = dataset.mask_directories()
scores = wsssbench.evaluate(cams, masks, aeft.ids("train"), format="cam", classes=aeft.classes)
print(
    f"mIoU {scores['miou']:.1f} at threshold {scores['threshold']}, in the ladder {aeft.ladder()[0]['oracle_miou']:.1f}"
)
