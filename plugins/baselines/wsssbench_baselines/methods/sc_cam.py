"""SC-CAM: a classifier that also has to tell sub-categories apart, which are clusters of an earlier one's features.

Chang, Wang, Hung, Piramuthu, Tsai & Yang, "Weakly-Supervised Semantic Segmentation via Sub-category Exploration",
CVPR 2020. A round is: pooled features of all training images by the classifier of the round before; for each class
k-means on those of the images that have it; a new classifier, from ImageNet, with a second head for the sub-categories.
CAMs are those of the first head. With K classes, C channels and k clusters per class:

    s = mean over space of the last feature maps, (N, C)
    L = BCE(W s, y) + 5 BCE(V s, z),   W: (K, C),  V: (K k, C),  y: (N, K),  z: (N, K k),

each BCE a mean over its own outputs. z marks one sub-category for each class that an image has.

Defaults are those of the released code (https://github.com/Juliachang/SC-CAM, commit 191ec48), which are the paper's: k
10, weight 5, three rounds behind a plain classifier. What the released code does otherwise:

* both heads see the features with the same channels dropped; here the second head draws its own, at the same rate;
* a class that fewer images have than there are clusters is an error there; here it has as many clusters as images;
* it leaves the number of starts of k-means at scikit-learn's default, which was 10 then and is 1 since version 1.4.

Not verified [?]: whether the paper scales the features before it clusters them; the released code does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from wsssbench.errors import MissingPackageError
from wsssbench.files.atomic import write_json
from wsssbench.files.reading import reading_artefact
from wsssbench.files.records import checked, parse_json
from wsssbench.interfaces import (
    Artefact,
    Batch,
    Classifier,
    Losses,
    Objective,
    Output,
    Photos,
    RunContext,
    Stage,
    TrainedClassifier,
)
from wsssbench.models.preprocess import normalise
from wsssbench.parallel.jobs import single_thread

Number = Annotated[int, Field(ge=1, le=1000)]
_FILE = "sub_categories.json"


@dataclass(frozen=True)
class SubCategories(Artefact):
    """The sub-category, 0 to k - 1, of each class of each image.

    Attributes:
        k: sub-categories of a class, at most.
    """

    called = "sub-categories"
    k: int

    @cached_property
    def of_images(self) -> dict[str, dict[int, int]]:
        """Image id -> label-map value of a class that it has -> sub-category.

        Raises:
            CorruptArtefactError: the file is not whole.
        """
        path = self.directory / _FILE
        with reading_artefact(path):
            return checked(dict[str, dict[int, int]], parse_json(path.read_bytes()))

    def targets(self, ids: tuple[str, ...], num_classes: int) -> Tensor:
        """z of the images `ids`, (N, K k) float32 in {0, 1}; sub-category j of class c is at (c - 1) k + j."""
        z = torch.zeros(len(ids), num_classes, self.k)
        for row, id in zip(z, ids, strict=True):
            for value, cluster in self.of_images[id].items():
                row[value - 1, cluster] = 1
        return z.flatten(1)


class ClusterFeatures(Stage):
    """Divides each class into sub-categories: clusters of the features of its images.

    k-means (best of several starts, at most 300 iterations, Euclidean distance, features as they are) on the spatial
    mean of the classifier's last feature maps, of whole images at scale 1. It does not depend on the run's seed, as the
    released code's does not.

    Args:
        classes: K names; supplied by the toolkit.
        classifier: the stage whose classifier computes the features.
        k: clusters of a class; of one that fewer images have, as many as these.
        starts: of k-means.

    Raises:
        MissingPackageError: scikit-learn is not installed.
    """

    makes = SubCategories
    title = "sub-categories"

    def __init__(
        self,
        classes: tuple[str, ...],
        *,
        classifier: TrainedClassifier,
        k: Number = 10,
        starts: Number = 10,
    ) -> None:
        if find_spec("sklearn") is None:
            raise MissingPackageError("stage ClusterFeatures", "scikit-learn", "baselines")
        self.classifier, self.k, self.starts = classifier, k, starts

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        """Write the sub-categories of all images that have a class."""
        table = cluster(self.features(photos, context), photos.labels, self.k, self.starts)
        of_images = {
            id: {int(c) + 1: int(row[c]) for c in np.flatnonzero(row >= 0)}
            for id, row in zip(photos.ids, table, strict=True)
        }
        write_json(context.directory / _FILE, of_images)
        used = {(value, j) for row in of_images.values() for value, j in row.items()}
        return {"images": len(photos), "sub-categories": len(used)}

    def features(self, photos: Photos, context: RunContext) -> np.ndarray:
        """s of `photos`, (n, C) float32."""
        network, rows = self.classifier.frozen(), []
        track = context.progress.track("features", total=len(photos))
        with single_thread(), torch.no_grad(), track as task:
            for photo in photos:
                image = torch.from_numpy(normalise(photo.image))[None].to(context.device)
                rows.append(network(image).features[-1].float().mean(dim=(2, 3))[0].cpu().numpy())
                task.advance()
        return np.stack(rows)


class SubCategory(Objective):
    """The loss of a second head that tells sub-categories apart.

    The number of sub-categories is that of the stage that made them; the number of rounds is the experiment's.

    Args:
        num_classes: K; supplied by the toolkit.
        channels: of the backbone's feature maps; supplied by the toolkit.
        clusters: the stage that has made the sub-categories, of the round before.
        weight: of the loss.
    """

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        clusters: SubCategories,
        weight: Annotated[float, Field(ge=0, le=1000)] = 5.0,
    ) -> None:
        super().__init__()
        self.clusters, self.weight, self.num_classes = clusters, weight, num_classes
        self.head = nn.Linear(channels[-1], num_classes * clusters.k, bias=False)
        nn.init.xavier_uniform_(self.head.weight)

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        """The term ``sub_category``, from the backbone's last features at the classifier's dropout."""
        logits = self.head(classifier.dropout(output.features[-1]).mean(dim=(2, 3)))  # (N, K k)
        z = self.clusters.targets(batch.ids, self.num_classes).to(logits.device)
        loss = F.binary_cross_entropy_with_logits(logits.float(), z)
        return Losses({"sub_category": self.weight * loss})


def cluster(
    features: np.ndarray, labels: np.ndarray, k: int, starts: int = 10, seed: int = 0
) -> np.ndarray:
    """Divide the images of each class into `k` clusters, or as many as there are images.

    Args:
        features: (n, C) float.
        labels: (n, K) in {0, 1}.

    Returns:
        The cluster of each image in each class, (n, K) int64; -1 where it does not have the class.
    """
    # Here, since they take long to import, and are an extra.
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    table = np.full(labels.shape, -1)
    for c in range(labels.shape[1]):
        rows = np.flatnonzero(labels[:, c])
        if not rows.size:
            continue
        means = KMeans(min(k, rows.size), n_init=starts, max_iter=300, random_state=seed)
        with threadpool_limits(1):  # sums in one order on every machine
            table[rows, c] = means.fit_predict(features[rows])
    return table
