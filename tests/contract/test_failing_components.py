"""The shipped checks can fail: a component that breaks one point of its contract is told so in one sentence."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import broken_backbones
import broken_cams
import broken_data_sets
import broken_erasings
import broken_poolings
import broken_refinements
import broken_segmenters
import pytest

from wsssbench.contract import Finding, Rig, Subject, check_component, checks_of
from wsssbench.registry import Registries

MODULES: dict[str, ModuleType] = {
    "dataset": broken_data_sets,
    "backbone": broken_backbones,
    "pooling": broken_poolings,
    "erasing": broken_erasings,
    "cam": broken_cams,
    "refinement": broken_refinements,
    "segmenter": broken_segmenters,
}
# kind, component, check, words of the sentence: what was found, and what to change
BROKEN = [
    ("pooling", "Absent", "imports", "importing broken_poolings:Absent raised", "correct that name"),
    ("pooling", "NoPooling", "imports", "is no wsssbench.interfaces.Pooling", "correct that name"),
    ("pooling", "Unfinished", "imports", "does not define forward", "define forward()"),
    ("pooling", "NoDocstring", "description", "NoDocstring has no docstring", "name the paper"),
    ("pooling", "NoSummary", "description", "its summary is ''", "in one line"),
    ("pooling", "NoDocstring", "arguments", "it has no constructor", "def __init__(self, num_"),
    ("pooling", "Packed", "arguments", "takes **kwargs", "def __init__(self, num_classes, *,"),
    ("pooling", "PositionalParameter", "arguments", "'scale'", "write `*, ` before scale"),
    ("pooling", "NoArgument", "arguments", "takes 0 arguments", "accept num_classes by position"),
    ("pooling", "Untyped", "parameter types", "parameter 'scale' has no type", "`scale: float"),
    ("pooling", "WrongDefault", "parameter types", "default 'large' of parameter", "change the"),
    ("pooling", "TypeOnlyImport", "parameter types", "NameError", "outside of `if TYPE_CHECKING`"),
    ("pooling", "TypeOnlyImport", "unknown parameter", "NameError", "outside of `if TYPE_CHECK"),
    ("pooling", "Undocumented", "parameter documentation", "'speed' is not doc", "`speed: what"),
    ("pooling", "Unbuildable", "builds", "scale=-1.0 has to be positive", "working defaults"),
    ("pooling", "OneLogit", "shapes", "have shape (3, 1), but they have to be (N, K)", "no others"),
    ("pooling", "BareTensor", "shapes", "forward() returns Tensor", "return Pooled(logits)"),
    ("pooling", "SmallAttention", "shapes", "(3, 4, 8, 8) has shape (3, 4, 4, 4)", "upsample it"),
    ("pooling", "DoubleLogits", "shapes", "are torch.float64", "keep the dtype"),
    ("pooling", "FixedWindow", "odd sizes", "(2, 4, 7, 5) raised RuntimeError", "from maps.shape"),
    ("pooling", "BatchNormed", "batch of one", "(1, 4, 8, 8) raised ValueError", "from maps.sh"),
    ("pooling", "OverClasses", "one class", "there is NaN in the logits of maps (2, 1,", "away from 0"),
    ("pooling", "Detached", "gradients", "no gradient reaches maps", "leave out detach()"),
    ("pooling", "IdleParameter", "gradients", "'idle' gets no gradient", "requires_grad_(False)"),
    ("pooling", "NotANumber", "constant maps", "NaN in the logits of maps that are 0", "away from 0"),
    ("pooling", "RandomInEval", "deterministic", "differs from call to call", "self.training"),
    ("pooling", "OverBatch", "one image at a time", "has other logits than", "not over the batch"),
    ("pooling", "InPlace", "inputs unchanged", "changes the maps in place", "work on a copy"),
    ("pooling", "SinglePrecision", "half precision", "float32 only (broken_poolings.py", "maps.sh"),
    ("pooling", "CoarseHalf", "half precision", "its result differs by up to", "maps.float()"),
    ("pooling", "LostState", "state", "gives another result (by up to", "register_buffer"),
    ("pooling", "WithLambda", "spawned process", "pickling an instance raised", "no lambda"),
    ("pooling", "GlobalState", "spawned process", "it gives another result", "global variables"),
    ("erasing", "RefusesAll", "poolings", "it refuses every pooling", "choose defaults"),
    ("erasing", "NamelessRefusal", "poolings", "raised the error 'no attention'", "name"),
    ("erasing", "NeedsAttention", "poolings", "AttributeError: 'NoneType'", "a UserError that nam"),
    ("erasing", "NeverActs", "poolings", "it has no loss at progress 0, 0.5 or", "other defaults"),
    ("erasing", "BareDict", "poolings", "losses() returns dict", "return Losses("),
    ("erasing", "VectorLoss", "losses", "the loss 'energy' is of shape (3,)", "take the mean"),
    ("erasing", "VectorLog", "losses", "the logged 'all' is of shape (3,)", "log its mean"),
    ("erasing", "LateNotANumber", "losses", "NaN in the loss 'energy' with a", "away"),
    ("erasing", "FixedSize", "odd sizes", "losses() of images of 29 x 37 raised", "special about"),
    ("erasing", "NeedsPairs", "batch of one", "NaN in the loss 'energy' of a single", "mea"),
    ("erasing", "NeedsClass", "no class", "infinite values in the loss 'energy' of im", "away from 0"),
    ("erasing", "Detached", "gradients", "no gradient reaches the class maps", "without detach()"),
    ("erasing", "IdleParameter", "gradients", "its parameter 'factor' gets no", "requires_grad_"),
    ("erasing", "RandomByNumpy", "deterministic", "one batch gives the losses", "with torch only"),
    ("erasing", "SmallMaps", "cam maps", "maps() gives (2, 4, 4, 5)", "resize them"),
    ("erasing", "ChangesLabels", "inputs unchanged", "changes batch.labels in", "work on a copy"),
    ("erasing", "SinglePrecision", "half precision", "losses() under bfloat16 autocast", "special"),
    ("erasing", "LostState", "state", "gives another result", "register_buffer"),
    ("erasing", "WithLambda", "spawned process", "pickling an instance raised", "no lambda"),
    ("backbone", "NoStrides", "attributes", "channels=(5, 6) and strides=()", "set both"),
    ("backbone", "WrongChannels", "shapes", "(N, 6, 16, 16), but by its channels", "correct chan"),
    ("backbone", "ReturnsList", "shapes", "forward() returns a list", "return (map,)"),
    ("backbone", "RoundsDown", "odd sizes", "(N, 3, 33, 43) the feature maps are", "rounded up"),
    ("backbone", "StandardisedBatch", "batch of one", "has other features than in a", "no stat"),
    ("backbone", "IdleParameter", "gradients", "'third.weight' gets no gradient", "use it"),
    ("backbone", "RandomInEval", "deterministic", "differs from call to call", "self.training"),
    ("backbone", "InPlace", "inputs unchanged", "it changes the images in place", "on a copy"),
    ("backbone", "SinglePrecision", "half precision", "raised RuntimeError", "from the size"),
    ("backbone", "NamedHead", "parameter names", "'head.weight' has head. in", "another name"),
    ("backbone", "LostState", "state", "gives another result", "register_buffer"),
    ("backbone", "WithLambda", "spawned process", "pickling an instance raised", "no lambda"),
    ("cam", "NotScaled", "maps", "the maxima of its maps are 0.", "by its own maximum"),
    ("cam", "Doubled", "maps", "the maxima of its maps are 2 and 2", "by its own maximum"),
    ("cam", "Negative", "maps", "`maps` goes down to -0.4", "clip it at 0"),
    ("cam", "DoublePrecision", "maps", "`maps` is float64 of shape", ".astype(np.float32)"),
    ("cam", "FromZero", "maps", "`classes` holds [1, 3]", "has the value i + 1"),
    ("cam", "AllClasses", "maps", "`maps` has shape (4, 8, 12)", "no absent one"),
    ("cam", "SizeOfMaps", "maps", "`size` is (8, 12)", "image.shape[:2]"),
    ("cam", "TooLarge", "maps", "`maps` has shape (2, 64, 12)", "resize it"),
    ("cam", "BareArray", "maps", "infer() returns a ndarray", "return Cam("),
    ("cam", "FixedSize", "odd sizes", "an image (37, 52) with the classes [2, 4] raised", "special"),
    ("cam", "TwoClasses", "class counts", "with the classes [3] raised AssertionError", "special"),
    ("cam", "NeedsClass", "no class", "with the classes [] raised", "special about"),
    ("cam", "NotANumber", "no activation", "`maps` has NaN", "away from 0"),
    ("cam", "RandomCrop", "deterministic", "two CAMs of one image differ", "classifier.eval()"),
    ("cam", "ChangesImage", "inputs unchanged", "it changes the image in place", "on a copy"),
    ("cam", "TrainsOn", "inputs unchanged", "the classifier's 'head.weight' in place", "on a copy"),
    ("cam", "GlobalState", "spawned process", "it gives another CAM", "global variables"),
    ("refinement", "NoBackground", "scores", "`planes` has shape (2, 24, 32)", "the background"),
    ("refinement", "DoublePrecision", "scores", "is float64 of shape", ".astype(np.float32)"),
    ("refinement", "Logarithms", "scores", "`planes` goes down to -", "clip it at 0"),
    ("refinement", "BareArray", "scores", "refine() returns a ndarray", "return Scores("),
    ("refinement", "NeedsMaps", "refines scores", "raised AttributeError", "given.planes"),
    ("refinement", "EvenSizes", "odd sizes", "an image (37, 53) with", "special about"),
    ("refinement", "NeedsClass", "no class", "with the classes [] raised ValueError", "special"),
    ("refinement", "NotANumber", "no activation", "`planes` has NaN", "away from 0"),
    ("refinement", "RandomScores", "deterministic", "give different scores", "no random numbers"),
    ("refinement", "ChangesCam", "inputs unchanged", "changes the CAM in place", "on a copy"),
    ("refinement", "WithLambda", "spawned process", "pickling an instance raised", "no lambda"),
    ("refinement", "FitsNothing", "fits and loads", "fit() leaves no file", "context.directory"),
    ("refinement", "FailsToFit", "fits and loads", "IndexError: no class", "small images"),
    ("refinement", "ForgetsToLoad", "fits and loads", "load() in a new instance raised", "alone"),
    ("segmenter", "TrainsNothing", "trains", "train() leaves no file", "context.directory"),
    ("segmenter", "NeedsEveryClass", "trains", "one of them without a class raised", "ignore 255"),
    ("segmenter", "TrainsAgain", "trains once", "predicts something else", "return at once"),
    ("segmenter", "RefusesAgain", "trains once", "where it has finished raised", "return at once"),
    ("segmenter", "GreyPng", "label maps", "PNG files of mode L", "write_label"),
    ("segmenter", "HalfSize", "label maps", "of an image (40, 56) has size (20, 28)", "upsample"),
    ("segmenter", "Unsure", "label maps", "hold the value 255", "and not 255"),
    ("segmenter", "OtherNames", "label maps", "leaves no image_0.png", "{item.id}.png"),
    ("segmenter", "InInstance", "label maps", "'InInstance' object has no attribute", "nothing in"),
    ("segmenter", "BareNumber", "metrics", "predict() returns 0.5", "or {}"),
    ("segmenter", "Overwrites", "keeps predictions", "writes PNGs again", "skip items"),
    ("segmenter", "NeedsTruth", "images without truth", "predict() of 1 image", "`trained`"),
    ("dataset", "ClassTwice", "classes", "names 'red' twice", "rename one"),
    ("dataset", "ClassList", "classes", "['red', 'green', 'blue']", "set it in the class"),
    ("dataset", "IdTwice", "ids", "has the id 'disc0' twice", "keep one"),
    ("dataset", "IdWithSlash", "ids", "has the id 'discs/disc0'", "join folders by '__'"),
    ("dataset", "EmptySplit", "ids", "split 'train' is empty", "raise a UserError"),
    ("dataset", "OtherOrder", "ids", "two calls of ids('train') differ", "sort what"),
    ("dataset", "AnySplit", "unknown split", "ids('no_such_split') gives 6 ids", "raise UserError("),
    ("dataset", "KeyErrorSplit", "unknown split", "raises ZeroDivisionError", "raise UserError("),
    ("dataset", "KeyErrorSplit", "ids", "ids('train_aug') raised ZeroDivisionError", "raise UserErr"),
    ("dataset", "DoubleLabels", "labels", "is float64 of shape (6, 3)", "one row per id"),
    ("dataset", "ListLabels", "labels", "labels('train') is list", "one row per id"),
    ("dataset", "WeightedLabels", "labels", "values other than 0 and 1", "everything else to 0"),
    ("dataset", "NoClass", "labels", "has 1 images without any class", "empty_images = True"),
    ("dataset", "LabelsFromMasks", "labels", "may see image-level labels only", "from a file"),
    ("dataset", "NoLabels", "labels", "because labels.csv does not exist", "give them"),
    ("dataset", "SortedLabels", "label order", "6 of 6 masks of split 'train' show", "one order"),
    ("dataset", "MissingImage", "images", "does not exist", "correct the path"),
    ("dataset", "TextPath", "images", "image_path('disc0') is a str", "Path(...)"),
    ("dataset", "ImagesAmongMasks", "images", "may see image-level labels only", "correct the"),
    ("dataset", "OpenMasks", "masks", "lies outside of mask_directories()", "return its folder"),
    ("dataset", "LargeMasks", "masks", "'disc1' has size (20, 31) and its image (20, 30)", "leave"),
    ("dataset", "WrongValues", "masks", "has the label 3", "correct mask_path"),
    ("dataset", "HalfMasks", "masks", "mask_path('disc1', 'train') is None", "has_masks return F"),
    ("dataset", "ArrayCard", "card", "card() returns {'sizes'", "into text"),
    ("dataset", "WithLambda", "spawned process", "pickling an instance raised", "no lambda"),
    ("dataset", "Unseeded", "generation", "generated twice, 12 files differ", "default_rng"),
    ("dataset", "FailsToGenerate", "classes", "generate() raised FileNotFoundError", "make the fold"),
]  # fmt: skip


def _registered() -> Registries:
    """Everything in the modules of broken components, and three that are registered badly."""
    registries = Registries()

    def register(given: Registries) -> None:
        for kind, module in MODULES.items():
            for name, cls in inspect.getmembers(module, inspect.isclass):
                if cls.__module__ == module.__name__:
                    given[kind].add(name, f"{module.__name__}:{name}", summary="for a test")
        given.pooling.add("Absent", "broken_poolings:Absent", summary="for a test")
        given.pooling.add("NoPooling", "broken_backbones:Good", summary="for a test")
        given.pooling.add("NoSummary", "broken_poolings:Good", summary="")

    registries.register_from("broken", "broken-components", "1.0", register)
    return registries


REGISTRIES = _registered()


@pytest.fixture(scope="module")
def rig() -> Any:
    with Rig(REGISTRIES) as made:
        yield made


def findings_of(rig: Rig, kind: str, name: str, **options: Any) -> dict[str, Finding]:
    found = check_component(REGISTRIES[kind].components[name], REGISTRIES, rig=rig, **options)
    return {finding.check: finding for finding in found}


@pytest.mark.parametrize(
    ("kind", "name"), [*((kind, "Good") for kind in MODULES), ("refinement", "GoodFitted"),
                       ("refinement", "CamsOnly")]
)  # fmt: skip
def test_a_good_component_has_no_problem(rig: Rig, kind: str, name: str) -> None:
    found = findings_of(rig, kind, name)
    assert {f.sentence for f in found.values()} == {""}
    assert {f.state for f in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("kind", "name", "check", "found", "change"), BROKEN, ids=lambda text: str(text)[:24]
)
def test_a_broken_one_is_told_what_to_change(
    rig: Rig, kind: str, name: str, check: str, found: str, change: str
) -> None:
    component = REGISTRIES[kind].components[name]
    checks = {c.__name__.replace("_", " "): c for c in checks_of(component, REGISTRIES)}
    subject = Subject(rig, component)
    finding = subject.run(checks[check])
    assert finding.state == "failed"
    assert finding.sentence.startswith(f"{kind} {name}: ")
    assert "\n" not in finding.sentence
    what, _, how = finding.sentence.partition(", but ")
    assert found in finding.sentence, finding.sentence
    assert what and ": " in how, finding.sentence
    assert change in how, finding.sentence


def test_every_check_can_fail() -> None:
    """But for those that only ask others, which fail with them."""
    named = {(kind, check) for kind, _, check, *_ in BROKEN}
    general = {check for _, check in named}
    for kind, module in MODULES.items():
        good = "GoodFitted" if kind == "refinement" else "Good"
        for check in checks_of(REGISTRIES[kind].components[good], REGISTRIES):
            name = check.__name__.replace("_", " ")
            shared = check.__module__ == "wsssbench.contract.every"
            assert (kind, name) in named or (shared and name in general), (module, name)


def test_what_cannot_be_built_is_not_checked_further(rig: Rig) -> None:
    found = findings_of(rig, "pooling", "Unbuildable")
    assert list(found)[-1] == "builds"
    assert list(findings_of(rig, "pooling", "Absent")) == ["imports"]


def test_a_required_parameter_is_asked_for_and_taken(rig: Rig) -> None:
    found = findings_of(rig, "pooling", "NeedsParameter")
    assert list(found)[-1] == "builds"
    assert found["builds"].state == "skipped"
    assert "give --set NeedsParameter.scale=VALUE" in found["builds"].sentence
    found = findings_of(rig, "pooling", "NeedsParameter", parameters={"scale": 2.0})
    assert {f.state for f in found.values()} == {"ok"}


def test_what_failed_once_is_not_told_again(rig: Rig) -> None:
    found = findings_of(rig, "segmenter", "TrainsNothing")
    assert found["trains"].state == "failed"
    rest = {found[name].state for name in ("label maps", "metrics", "trains once")}
    assert rest == {"skipped"}
    assert "it needs a trained network, which failed" in found["label maps"].sentence


def test_splits_of_other_names_are_asked_for(rig: Rig) -> None:
    found = findings_of(rig, "dataset", "OtherSplits")
    assert found["ids"].state == "skipped"
    assert "--split NAME" in found["ids"].sentence
    found = findings_of(rig, "dataset", "OtherSplits", splits=["fold1"])
    assert found["ids"].state == "ok"
    assert findings_of(rig, "dataset", "Good", splits=["fold2"])["ids"].state == "failed"
