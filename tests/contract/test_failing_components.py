"""The shipped checks can fail: a component that breaks one point of its contract is told so in one sentence."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import broken_augmentations
import broken_backbones
import broken_cams
import broken_data_sets
import broken_erasings
import broken_labellings
import broken_losses
import broken_objectives
import broken_poolings
import broken_refinements
import broken_segmenters
import broken_stages
import pytest

from wsssbench.contract import Finding, Rig, Subject, check_component, checks_of
from wsssbench.registry import Registries

MODULES: dict[str, ModuleType] = {
    "dataset": broken_data_sets,
    "backbone": broken_backbones,
    "pooling": broken_poolings,
    "erasing": broken_erasings,
    "objective": broken_objectives,
    "augmentation": broken_augmentations,
    "cam": broken_cams,
    "refinement": broken_refinements,
    "labelling": broken_labellings,
    "loss": broken_losses,
    "segmenter": broken_segmenters,
    "stage": broken_stages,
}
# kind, component, check, words of what the check saw
BROKEN = [
    ("pooling", "Absent", "imports", "importing broken_poolings:Absent raised"),
    ("pooling", "NoPooling", "imports", "is no wsssbench.interfaces.Pooling"),
    ("pooling", "Unfinished", "imports", "does not define forward"),
    ("pooling", "NoDocstring", "description", "NoDocstring has no docstring"),
    ("pooling", "NoSummary", "description", "its summary is ''"),
    ("pooling", "NoDocstring", "arguments", "it has no constructor"),
    ("pooling", "Packed", "arguments", "takes **kwargs"),
    ("pooling", "PositionalParameter", "arguments", "'scale'"),
    ("pooling", "NoArgument", "arguments", "takes 0 arguments"),
    ("pooling", "Untyped", "parameter types", "parameter 'scale' has no type"),
    ("pooling", "WrongDefault", "parameter types", "default 'large' of parameter"),
    ("pooling", "TypeOnlyImport", "parameter types", "import it at run time"),
    ("pooling", "TypeOnlyImport", "unknown parameter", "'Fraction'"),
    ("pooling", "Undocumented", "parameter documentation", "'speed' is not doc"),
    ("pooling", "Unbuildable", "builds", "scale=-1.0 has to be positive"),
    ("pooling", "TracebackInRange", "parameter ranges", "scale=0.0, which its range has, raised Z"),
    ("pooling", "NarrowerThanItsRange", "parameter ranges", "'scale' is refused at both ends of its"),
    ("pooling", "OneLogit", "shapes", "(3, 4, 8, 8) are torch.float32 of shape (3, 1)"),
    ("pooling", "BareTensor", "shapes", "forward() returns Tensor"),
    ("pooling", "SmallAttention", "shapes", "(3, 4, 8, 8) is torch.float32 of shape (3, 4, 4, 4)"),
    ("pooling", "DoubleLogits", "shapes", "are torch.float64"),
    ("pooling", "FixedWindow", "odd sizes", "(2, 4, 7, 5) raised RuntimeError"),
    ("pooling", "BatchNormed", "batch of one", "(1, 4, 8, 8) raised ValueError"),
    ("pooling", "OverClasses", "one class", "there is NaN in the logits of maps (2, 1,"),
    ("pooling", "Detached", "gradients", "no gradient reaches maps"),
    ("pooling", "IdleParameter", "gradients", "'idle' gets no gradient"),
    ("pooling", "NotANumber", "constant maps", "NaN in the logits of maps that are 0"),
    ("pooling", "RandomInEval", "deterministic", "differs from call to call"),
    ("pooling", "OverBatch", "one image at a time", "has other logits than"),
    ("pooling", "InPlace", "inputs unchanged", "changes the maps in place"),
    ("pooling", "SinglePrecision", "half precision", "float32 only (broken_poolings.py"),
    ("pooling", "CoarseHalf", "half precision", "its result differs by up to"),
    ("pooling", "LostState", "state", "gives another result (by up to"),
    ("pooling", "WithLambda", "spawned process", "pickling an instance raised"),
    ("pooling", "GlobalState", "spawned process", "it gives another result"),
    ("erasing", "RefusesAll", "poolings", "it refuses every pooling"),
    ("erasing", "NamelessRefusal", "poolings", "raised the error 'no attention'"),
    ("erasing", "NeedsAttention", "poolings", "AttributeError: 'NoneType'"),
    ("erasing", "NeverActs", "poolings", "it has no loss at progress 0, 0.5 or"),
    ("erasing", "UnknownNewLayer", "new layers", "has 'fcator', but no parameter"),
    ("erasing", "BareDict", "poolings", "losses() returns dict"),
    ("erasing", "VectorLoss", "losses", "the loss 'energy' is torch.float32 of shape (3,)"),
    ("erasing", "VectorLog", "losses", "the logged 'all' is torch.float32 of shape (3,)"),
    ("erasing", "LateNotANumber", "losses", "NaN in the loss 'energy' with a"),
    ("erasing", "FixedSize", "odd sizes", "losses() of images of 29 x 37 raised"),
    ("erasing", "NeedsPairs", "batch of one", "NaN in the loss 'energy' of a single"),
    ("erasing", "NeedsClass", "no class", "infinite values in the loss 'energy' of im"),
    ("erasing", "Detached", "gradients", "no gradient reaches the class maps or the feature maps"),
    ("erasing", "IdleParameter", "gradients", "its parameter 'factor' gets no"),
    ("erasing", "RandomByNumpy", "deterministic", "one batch gives the losses"),
    ("erasing", "SmallMaps", "cam maps", "maps() gives torch.float32 of shape (2, 4, 4, 5)"),
    ("objective", "WeightOfItsOwn", "classification weight", "that of its config 0.5"),
    ("objective", "NegativeWeight", "classification weight", "its classification_weight is -1"),
    ("erasing", "ChangesLabels", "inputs unchanged", "changes batch.labels in"),
    ("erasing", "SinglePrecision", "half precision", "losses() under bfloat16 autocast"),
    ("erasing", "LostState", "state", "gives another result"),
    ("erasing", "WithLambda", "spawned process", "pickling an instance raised"),
    ("augmentation", "HalfAView", "count", "its `count` is 0.5"),
    ("augmentation", "ThirdView", "views", "returns 2 photos"),
    ("augmentation", "BareImages", "views", "views() returns a list"),
    ("augmentation", "FloatImage", "views", "of photo 'image_0' is float64"),
    ("augmentation", "SoftLabels", "views", "[0.0, 0.5, 0.0, 0.5]"),
    ("augmentation", "SmallPlane", "views", "the plane 'noise' of a view of photo 'image_0' is uint8"),
    ("augmentation", "OnePlane", "views", "have the planes [] and ['noise']"),
    ("augmentation", "NeedsClass", "views", "of 35 x 51 with 0 classes raised IndexError"),
    ("augmentation", "GlobalNoise", "only the generator", "it draws from a global generator"),
    ("augmentation", "FreshNoise", "only the generator", "it makes different views of photo"),
    ("augmentation", "InPlace", "inputs unchanged", "it changes the image in place"),
    ("augmentation", "WithLambda", "spawned process", "pickling an instance raised"),
    ("backbone", "NoStrides", "attributes", "channels=(5, 6) and strides=()"),
    ("backbone", "WrongChannels", "shapes", "(N, 6, 16, 16)"),
    ("backbone", "ReturnsList", "shapes", "forward() returns a list"),
    ("backbone", "RoundsDown", "odd sizes", "(N, 3, 33, 43) the feature maps are"),
    ("backbone", "StandardisedBatch", "batch of one", "has other features than in a"),
    ("backbone", "OtherStages", "every stage", "are not the maps of forward()"),
    ("backbone", "UndeclaredStem", "every stage", "stage_features() are (N, 3, 33, 43) and"),
    ("backbone", "IdleParameter", "gradients", "'third.weight' gets no gradient"),
    ("backbone", "RandomInEval", "deterministic", "differs from call to call"),
    ("backbone", "InPlace", "inputs unchanged", "it changes the images in place"),
    ("backbone", "SinglePrecision", "half precision", "raised RuntimeError"),
    ("backbone", "UnknownNewLayer", "new layers", "has 'thrid', but no parameter"),
    ("backbone", "FrozenNewLayer", "new layers", "has 'first', but no parameter"),
    ("backbone", "LostState", "state", "gives another result"),
    ("backbone", "WithLambda", "spawned process", "pickling an instance raised"),
    ("cam", "GivesText", "declares", "its `gives` is 'scores'"),
    ("cam", "UnknownQuick", "declares", "its `quick` has steps"),
    ("cam", "NoPasses", "declares", "its passes() gives 0.0"),
    ("cam", "NotScaled", "maps", "the maxima of its maps are 0."),
    ("cam", "Doubled", "maps", "`maps` goes up to 2"),
    ("cam", "Negative", "maps", "`maps` goes down to -0.4"),
    ("cam", "DoublePrecision", "maps", "`maps` is float64 of shape"),
    ("cam", "FromZero", "maps", "`classes` holds [1, 3]"),
    ("cam", "AllClasses", "maps", "`maps` has shape (4, 8, 12)"),
    ("cam", "SizeOfMaps", "maps", "`size` is (8, 12)"),
    ("cam", "TooLarge", "maps", "`maps` has shape (2, 64, 12)"),
    ("cam", "BareArray", "maps", "infer() returns a ndarray"),
    ("cam", "FixedSize", "odd sizes", "an image (37, 52) with the classes [2, 4] raised"),
    ("cam", "TwoClasses", "class counts", "with the classes [3] raised AssertionError"),
    ("cam", "NeedsClass", "no class", "with the classes [] raised"),
    ("cam", "NotANumber", "no activation", "`maps` has NaN"),
    ("cam", "RandomCrop", "deterministic", "two CAMs of one image differ"),
    ("cam", "ChangesImage", "inputs unchanged", "it changes the image in place"),
    ("cam", "TrainsOn", "inputs unchanged", "the classifier's 'head.weight' in place"),
    ("cam", "GlobalState", "spawned process", "it gives another CAM"),
    ("refinement", "NoBackground", "scores", "`planes` has shape (2, 24, 32)"),
    ("refinement", "DoublePrecision", "scores", "is float64 of shape"),
    ("refinement", "Logarithms", "scores", "`planes` goes down to -"),
    ("refinement", "BareArray", "scores", "refine() returns a ndarray"),
    ("refinement", "GivesText", "declares", "and its `gives` 'cams'"),
    ("refinement", "NeedsMaps", "all that it takes", "raised AttributeError"),
    ("refinement", "EvenSizes", "odd sizes", "an image (37, 53) with"),
    ("refinement", "NeedsClass", "no class", "with the classes [] raised ValueError"),
    ("refinement", "NotANumber", "no activation", "`planes` has NaN"),
    ("refinement", "RandomScores", "deterministic", "give different scores"),
    ("refinement", "ChangesCam", "inputs unchanged", "changes the CAM in place"),
    ("refinement", "WithLambda", "spawned process", "pickling an instance raised"),
    ("refinement", "FitsNothing", "fits and loads", "fit() leaves no file"),
    ("refinement", "FailsToFit", "fits and loads", "IndexError: no class"),
    ("refinement", "ForgetsToLoad", "fits and loads", "load() in a new instance raised"),
    ("labelling", "TakesLabelMaps", "declares", "its `takes` is ("),
    ("labelling", "UnknownLevel", "declares", "'treshold'"),
    ("labelling", "Wide", "label maps", "label() returns int64 of shape (40, 56)"),
    ("labelling", "SizeOfMaps", "label maps", "label() returns uint8 of shape (20, 28)"),
    ("labelling", "OtherClass", "label maps", "its label map has the value 3"),
    ("labelling", "EvenSizes", "odd sizes", "an image (61, 43) with"),
    ("labelling", "NeedsClass", "no class", "with the classes [] raised AssertionError"),
    ("labelling", "NeedsActivation", "no activation", "raised AssertionError"),
    ("labelling", "RandomLabels", "deterministic", "give different label maps"),
    ("labelling", "ChangesCam", "inputs unchanged", "changes the CAM in place"),
    ("labelling", "WithLambda", "spawned process", "pickling an instance raised"),
    ("loss", "PerPixel", "scalar", "forward() returns torch.float32 of shape (2, 16, 16)"),
    ("loss", "SizeOfImages", "odd sizes", "the loss of logits of 17 x 23 raised RuntimeError"),
    ("loss", "NeedsPairs", "batch of one", "the loss of a single image raised IndexError"),
    ("loss", "MeanOfClasses", "background only", "there is NaN in the loss of images without"),
    ("loss", "PlainMean", "all ignored", "there is NaN in the loss where every pixel"),
    ("loss", "LogOfSoftmax", "sure of it", "there is NaN in the gradient of very sure"),
    ("loss", "Detached", "gradients", "no gradient reaches the logits"),
    ("loss", "RandomByNumpy", "deterministic", "one batch has two losses"),
    ("loss", "ChangesLabels", "inputs unchanged", "it changes batch.labels in place"),
    ("loss", "SinglePrecision", "half precision", "the loss under bfloat16 autocast raised"),
    ("loss", "LostState", "state", "gives another result"),
    ("segmenter", "TrainsNothing", "trains", "train() leaves no file"),
    ("segmenter", "NeedsEveryClass", "trains", "one of them without a class raised"),
    ("segmenter", "TrainsAgain", "trains once", "predicts something else"),
    ("segmenter", "RefusesAgain", "trains once", "where it has finished raised"),
    ("segmenter", "GreyPng", "label maps", "PNG files of mode L"),
    ("segmenter", "HalfSize", "label maps", "of an image (40, 56) has size (20, 28)"),
    ("segmenter", "Unsure", "label maps", "hold the value 255"),
    ("segmenter", "OtherNames", "label maps", "leaves no image_0.png"),
    ("segmenter", "InInstance", "label maps", "'InInstance' object has no attribute"),
    ("segmenter", "BareNumber", "metrics", "predict() returns 0.5"),
    ("segmenter", "Overwrites", "keeps predictions", "writes PNGs again"),
    ("segmenter", "NeedsTruth", "images without masks", "predict() of 1 image"),
    ("stage", "MakesText", "declares", "its `makes` is 'cams'"),
    ("stage", "UnknownField", "declares", "Powers, which it makes, has the field base"),
    ("stage", "OtherSplit", "declares", "its `splits` are ('training',)"),
    ("stage", "NeedsClass", "runs", "run() on 4 photos, one of them without a class raised"),
    ("stage", "ReturnsArray", "runs", "as JSON raised TypeError"),
    ("stage", "LeavesOneOut", "results", "reading the result of photo 'image_3' raised"),
    ("stage", "SizeOfMaps", "results", "`size` is (20, 28)"),
    ("stage", "NoLabelMaps", "results", "reading the result of photo 'image_0' raised"),
    ("stage", "Once", "runs again", "FileExistsError"),
    ("stage", "Random", "deterministic", "leaves other files"),
    ("stage", "Overwrites", "inputs unchanged", "it changes what it reads"),
    ("dataset", "ClassTwice", "classes", "names 'red' twice"),
    ("dataset", "ClassList", "classes", "['red', 'green', 'blue']"),
    ("dataset", "IdTwice", "ids", "has the id 'disc0' twice"),
    ("dataset", "IdWithSlash", "ids", "has the id 'discs/disc0'"),
    ("dataset", "EmptySplit", "ids", "split 'train' is empty"),
    ("dataset", "OtherOrder", "ids", "two calls of ids('train') differ"),
    ("dataset", "AnySplit", "unknown split", "ids('no_such_split') gives 6 ids"),
    ("dataset", "KeyErrorSplit", "unknown split", "raises ZeroDivisionError"),
    ("dataset", "KeyErrorSplit", "ids", "ids('train_aug') raised ZeroDivisionError"),
    ("dataset", "DoubleLabels", "labels", "is float64 of shape (6, 3)"),
    ("dataset", "ListLabels", "labels", "labels('train') is list"),
    ("dataset", "WeightedLabels", "labels", "values other than 0 and 1"),
    ("dataset", "NoClass", "labels", "has 1 images without any class"),
    ("dataset", "LabelsFromMasks", "labels", "may see image-level labels only"),
    ("dataset", "NoLabels", "labels", "because labels.csv does not exist"),
    ("dataset", "SortedLabels", "label order", "6 of 6 masks of split 'train' show"),
    ("dataset", "MissingImage", "images", "does not exist"),
    ("dataset", "TextPath", "images", "image_path('disc0') is a str"),
    ("dataset", "ImagesAmongMasks", "images", "may see image-level labels only"),
    ("dataset", "OpenMasks", "masks", "lies outside of mask_directories()"),
    ("dataset", "LargeMasks", "masks", "'disc1' has size (20, 31) and its image (20, 30)"),
    ("dataset", "WrongValues", "masks", "has the label 3"),
    ("dataset", "HalfMasks", "masks", "mask_path('disc1', 'train') is None"),
    ("dataset", "ArrayCard", "card", "card() returns {'sizes'"),
    ("dataset", "WithLambda", "spawned process", "pickling an instance raised"),
    ("dataset", "Unseeded", "generation", "generated twice, 12 files differ"),
    ("dataset", "FailsToGenerate", "classes", "generate() raised FileNotFoundError"),
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
    findings = check_component(REGISTRIES[kind].components[name], REGISTRIES, rig=rig, **options)
    return {finding.check: finding for finding in findings}


@pytest.mark.parametrize(
    ("kind", "name"), [*((kind, "Good") for kind in MODULES), ("refinement", "GoodFitted"),
                       ("refinement", "CamsOnly"), ("refinement", "BetterCams"), ("cam", "WithoutClassifier"),
                       ("labelling", "ReadsLabelMaps"), ("loss", "Learning"),
                       ("pooling", "Derived")]
)  # fmt: skip
def test_a_good_component_has_no_problem(rig: Rig, kind: str, name: str) -> None:
    findings = findings_of(rig, kind, name)
    assert {f.sentence for f in findings.values()} == {""}
    assert {f.state for f in findings.values()} == {"ok"}


@pytest.mark.parametrize(("kind", "name", "check", "seen"), BROKEN, ids=lambda text: text[:24])
def test_a_broken_one_is_told_what_is_required(
    rig: Rig, kind: str, name: str, check: str, seen: str
) -> None:
    component = REGISTRIES[kind].components[name]
    checks = {c.__name__.replace("_", " "): c for c in checks_of(component, REGISTRIES)}
    finding = Subject(rig, component).run(checks[check])
    assert finding.state == "failed"
    assert finding.sentence.startswith(f"{kind} {name}: ")
    assert "\n" not in finding.sentence
    first, _, rest = finding.sentence.partition(f", but {finding.required} (contract: ")
    assert seen in first, finding.sentence
    asked = inspect.getdoc(checks[check])
    assert asked is not None and rest == " ".join(asked.split()).rstrip(".") + ")"


def test_every_check_can_fail() -> None:
    """But for those that only ask others, which fail with them; what two kinds share fails for one of them."""
    named = {(kind, check) for kind, _, check, *_ in BROKEN}
    checks = {
        (kind, check.__name__.replace("_", " ")): check
        for kind in MODULES
        for good in ("GoodFitted" if kind == "refinement" else "Good",)
        for check in checks_of(REGISTRIES[kind].components[good], REGISTRIES)
    }
    can_fail = {check for place, check in checks.items() if place in named}
    assert [place for place, check in checks.items() if check not in can_fail] == []


def test_what_cannot_be_built_is_not_checked_further(rig: Rig) -> None:
    findings = findings_of(rig, "pooling", "Unbuildable")
    assert list(findings)[-1] == "builds"
    assert list(findings_of(rig, "pooling", "Absent")) == ["imports"]


def test_a_required_parameter_is_asked_for_and_taken(rig: Rig) -> None:
    findings = findings_of(rig, "pooling", "NeedsParameter")
    assert list(findings)[-1] == "builds"
    assert findings["builds"].state == "skipped"
    assert "give --set NeedsParameter.scale=VALUE" in findings["builds"].sentence
    findings = findings_of(rig, "pooling", "NeedsParameter", parameters={"scale": 2.0})
    assert {f.state for f in findings.values()} == {"ok"}


def test_what_failed_once_is_not_told_again(rig: Rig) -> None:
    findings = findings_of(rig, "segmenter", "TrainsNothing")
    assert findings["trains"].state == "failed"
    rest = {findings[name].state for name in ("label maps", "metrics", "trains once")}
    assert rest == {"skipped"}
    assert "it needs a trained network, which failed" in findings["label maps"].sentence


def test_splits_of_other_names_are_asked_for(rig: Rig) -> None:
    findings = findings_of(rig, "dataset", "OtherSplits")
    assert findings["ids"].state == "skipped"
    assert "--split NAME" in findings["ids"].sentence
    findings = findings_of(rig, "dataset", "OtherSplits", splits=["fold1"])
    assert findings["ids"].state == "ok"
    assert findings_of(rig, "dataset", "Good", splits=["fold2"])["ids"].state == "failed"
