"""What checks need around them: a directory, a spawned process, and the component itself, built."""

from __future__ import annotations

import inspect
import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import (
    AbstractContextManager,
    ExitStack,
    nullcontext,
    redirect_stderr,
    redirect_stdout,
)
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from wsssbench.contract.checks import (
    BrokenContractError,
    Finding,
    NotCheckedError,
    attempt,
    place,
    reason,
)
from wsssbench.contract.package import loaded_package
from wsssbench.contract.samples import CALLS, QUICK, SUPPLIED, sample_artefact, write_photos
from wsssbench.errors import UserError
from wsssbench.interfaces import Artefact, Photos, RunContext
from wsssbench.parallel.jobs import single_thread, worker_pool
from wsssbench.plugin_files import is_plugin_file
from wsssbench.progress import Silent
from wsssbench.registry import (
    Component,
    Parameter,
    Registries,
    artefact_classes,
    check_value,
    takes_none,
)
from wsssbench.stages.handles import files_of

T = TypeVar("T")
Check = Callable[["Subject"], None]


class Rig:
    """What the checks of several components share; a context manager.

    Args:
        registries: where the components are.
        folder: of a package that is not installed, for spawned processes to find it, too.
    """

    def __init__(self, registries: Registries, folder: Path | None = None) -> None:
        self.registries = registries
        self.folder = folder
        self._exits = ExitStack()
        self._pool: ProcessPoolExecutor | None = None
        self._directory: Path | None = None
        self._used = 0

    def __enter__(self) -> Rig:
        self._exits.enter_context(single_thread())  # as in spawned processes; inputs are tiny
        return self

    def __exit__(self, *error: object) -> None:
        self._exits.close()

    def new_directory(self) -> Path:
        """An empty directory that lasts as long as the rig."""
        if self._directory is None:
            self._directory = Path(self._exits.enter_context(TemporaryDirectory()))
        self._used += 1
        path = self._directory / str(self._used)
        path.mkdir()
        return path

    def spawned(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """What ``function(*arguments)`` returns in a spawned process; both are pickled to it.

        Raises:
            BrokenContractError: they do not pickle, or cannot be unpickled or used there; `what` names them.
        """
        with attempt(
            f"pickling {what}",
            "spawned processes get it pickled: no lambda, local function, lock or open file in an attribute",
        ):
            path = self.new_directory() / "pickled.pt"
            torch.save((function, arguments), path)  # by file, since a network may be large
        try:
            problem, result = self._processes().submit(_call, self.folder, path).result()
        except BrokenProcessPool:
            self._pool = None
            problem, result = f"the spawned process that used {what} died", None
        path.unlink(missing_ok=True)
        if problem:
            raise BrokenContractError(
                problem.format(what=what),
                "a worker process starts from nothing but its pickle: define it at the top level of a module",
            )
        return result

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = self._exits.enter_context(worker_pool(1))
        return self._pool


def _call(folder: Path | None, path: Path) -> tuple[str, Any]:
    """Runs in the spawned process; returns (what went wrong or nothing, the result)."""
    doing = "unpickling {what} in a spawned process"
    printed = io.StringIO()
    loaded = loaded_package(folder) if folder else nullcontext()
    try:
        with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings(), loaded:
            warnings.simplefilter("ignore")
            function, arguments = torch.load(path, weights_only=False, mmap=True)
            doing = "using {what} in a spawned process"
            return "", function(*arguments)
    except Exception as error:  # whatever a third party's code raises is what is reported
        text = reason(error).replace("{", "{{").replace("}", "}}")  # `doing` is a format
        return f"{doing} raised {text}", None


class Subject:
    """One component under check.

    Args:
        rig: what its checks share with those of others.
        component: as registered.
        parameters: for its constructor; those that make a check quick are added.
        splits: of a data set, beside the usual ones.
    """

    def __init__(
        self,
        rig: Rig,
        component: Component,
        parameters: Mapping[str, Any] | None = None,
        splits: Sequence[str] = (),
    ) -> None:
        self.rig = rig
        self.component = component
        self.parameters = dict(parameters or {})
        self.splits = tuple(splits)
        self.registry = rig.registries[component.kind]
        self.name = component.name
        self._made: dict[str, Any] = {}

    @property
    def cls(self) -> type:
        """Its class; BrokenContractError if that cannot be imported."""
        with attempt(
            f"importing {self.component.target}",
            "package.module:Class has to name the component's class",
        ):
            return self.registry.get(self.name)

    def run(self, check: Check) -> Finding:
        """The finding of one check; the random generator of torch is left as it was."""

        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.manual_seed(0)
                check(self)
        except NotCheckedError as why:
            return self._finding(check, "skipped", str(why))
        except BrokenContractError as broken:
            return self._failed(check, broken, broken.__cause__)
        except Exception as error:  # whatever a third party's code raises is what is reported
            seen = f"the check stopped with {reason(error)}"
            return self._failed(check, BrokenContractError(seen, "it has to work"), error)
        return self._finding(check, "ok")

    def _failed(
        self, check: Check, broken: BrokenContractError, cause: BaseException | None
    ) -> Finding:
        where = place(cause, self._home())
        asked = " ".join((inspect.getdoc(check) or "").split()).rstrip(".")
        sentence = f"{broken.seen}{where}, but {broken.required} (contract: {asked})"
        return self._finding(check, "failed", sentence, broken.required)

    def _finding(self, check: Check, state: Any, sentence: str = "", required: str = "") -> Finding:
        name = check.__name__.strip("_").replace("_", " ")
        text = f"{self.component.kind} {self.name}: {sentence}" if sentence else ""
        return Finding(self.component.kind, self.name, name, state, text, required)

    def missing(self) -> list[Parameter]:
        """Parameters without a default that were not given and cannot be guessed."""
        known = self.registry.parameters(self.name)
        given = self._quick() | self.parameters
        return [
            p for n, p in known.items() if p.default is inspect.Parameter.empty and n not in given
        ]

    def config(self, quick: bool = True) -> dict[str, Any]:
        """``dict(type=..., ...)`` to build it from, with what makes checks quick, or only what has to be guessed.

        Raises:
            NotCheckedError: a parameter that has no default was not given.
        """
        missing = self.missing()
        if missing:
            listed = " and ".join(f"{p.name} ({p.type_name})" for p in missing)
            settings = " ".join(f"--set {self.name}.{p.name}=VALUE" for p in missing)
            raise NotCheckedError(
                f"it cannot be built without {listed}, so it was not checked further: give {settings}"
            )
        known = self.registry.parameters(self.name)
        added = {
            name: value
            for name, value in self._quick().items()
            if quick or known[name].default is inspect.Parameter.empty
        }
        return {"type": self.name, **added, **self.parameters}

    def _quick(self) -> dict[str, Any]:
        known = self.registry.parameters(self.name)
        wanted = {**QUICK.get(self.component.kind, {}), **getattr(self.cls, "quick", {})}
        quick = {n: v for n, v in wanted.items() if n in known and _fits(known[n], v)}
        return quick | self.references()

    def references(self) -> dict[str, Any]:
        """A sample for each parameter that names a stage, where there is one of what that stage makes."""

        def make() -> dict[str, Any]:
            samples: dict[str, Any] = {}
            for name, parameter in self.registry.parameters(self.name).items():
                # CAMs are inferred of photos of all sizes, of which no stage has made anything.
                if self.component.kind == "cam" and takes_none(parameter.annotation):
                    continue
                for artefact in artefact_classes(parameter.annotation)[:1]:
                    sample = self._sample(artefact)
                    one = sample if _fits(parameter, sample) else (sample,)
                    samples |= {name: one} if sample is not None and _fits(parameter, one) else {}
            return samples

        return self.once("what it reads", make)

    def _sample(self, artefact: type) -> Artefact | Photos | None:
        if artefact is Photos:
            return write_photos(self.rig.new_directory())
        sample = sample_artefact(artefact, self.rig.new_directory())
        return self._left_by_a_stage(artefact) if sample is None else sample

    def _left_by_a_stage(self, artefact: type) -> Artefact | None:
        """What a registered stage that makes a plugin's kind of artefact leaves of the sample photos; None without."""
        registry = self.rig.registries.stage
        for component in registry.components.values():
            try:
                makes = getattr(registry.get(component.name), "makes", None)
                if makes is not artefact or component == self.component:
                    continue
                maker, context = Subject(self.rig, component), self.context()
                maker.build().run(write_photos(self.rig.new_directory()), context)
                parameters = registry.resolve(maker.config(), component.name)
                return files_of(artefact, context.directory, parameters)
            except Exception:  # that stage's own checks say what is wrong with it
                continue
        return None

    def build(self, *supplied: Any, seed: int = 0) -> Any:
        """A new instance, from random weights if it has any; `supplied` replaces what the toolkit gives."""
        given = supplied or SUPPLIED[self.component.kind]
        with self._building():
            torch.manual_seed(seed)
            config = self.config()
            try:
                return self.registry.build(config, *given)
            except UserError:
                # What makes checks quick may mean something else here: then by its own defaults.
                if config == self.config(quick=False):
                    raise
                return self.registry.build(self.config(quick=False), *given)

    def _building(self) -> AbstractContextManager[None]:
        spelled = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        if spelled:
            return attempt(f"building it with {spelled}", "it has to be built from what was given")
        return attempt(
            f"building dict(type='{self.name}')",
            f"{self.name}{CALLS[self.component.kind]} has to work",
        )

    def once(self, what: str, make: Callable[[], T]) -> T:
        """What `make` returns, made once for all checks; after a failure other checks are skipped."""
        if what not in self._made:
            self._made[what] = NotCheckedError(f"it needs {what}, which failed")
            try:
                self._made[what] = make()
            except NotCheckedError as why:
                self._made[what] = why
        if isinstance(self._made[what], NotCheckedError):
            raise self._made[what]
        return self._made[what]

    def shared(self) -> Any:
        """One instance for all checks that leave it as it is."""
        return self.once("an instance", self.build)

    def context(self, directory: Path | None = None) -> RunContext:
        """What components that train or predict are given: CPU, one process, a new directory by default."""
        return RunContext(directory or self.rig.new_directory(), "cpu", 1, 0, Silent())

    def _home(self) -> Path | None:
        """The folder that the component's package is in."""
        module = self.component.target.partition(":")[0]
        top = module if is_plugin_file(module) else module.partition(".")[0]
        file = getattr(sys.modules.get(top), "__file__", None)
        if file is None:
            return None
        path = Path(file).resolve()
        return path.parent if path.name == "__init__.py" else path


def _fits(parameter: Parameter, value: Any) -> bool:
    try:
        check_value(parameter, value, "")
    except UserError:
        return False
    return True
