"""What a new plugin is called: its distribution, its module, its component, and whether these are free."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from wsssbench.errors import UserError
from wsssbench.plugins import Loaded

# What PyPI and pip accept, minus what cannot become a module name.
_ALLOWED = re.compile(r"[a-z]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)


@dataclass(frozen=True)
class Names:
    """The names of one new plugin: ``my-pooling``, ``my_pooling``, ``MyPooling``."""

    distribution: str
    module: str
    component: str


def names_of(name: str) -> Names:
    """The names that follow from the distribution's `name`.

    Raises:
        UserError: it is no valid name of a distribution, or none of a module or a class follows from it.
    """
    if not _ALLOWED.fullmatch(name):
        raise UserError(
            f"'{name}' cannot be the name of a plugin: use ASCII letters, digits and single hyphens, starting with a "
            "letter, as in my-pooling"
        )
    words = [word for word in re.split(r"[-_.]+", name) if word]
    module = "_".join(words).lower()
    component = "".join(word[0].upper() + word[1:] for word in words)
    for word in (module, component):
        if keyword.iskeyword(word):
            raise UserError(
                f"'{name}' cannot be the name of a plugin: {word} is a word of Python's; add one, as in my-{name}"
            )
    return Names(name, module, component)


def check_free(names: Names, loaded: Loaded) -> None:
    """Nothing that is installed may have one of `names`.

    Raises:
        UserError: a plugin, component, package or module has it.
    """
    for component in loaded.registries.find(names.component):
        raise _taken(
            f"the component name {names.component}", f"by a {component.kind} of {component.plugin}"
        )
    for plugin in loaded.plugins:
        if plugin.name == names.module:
            raise _taken(f"the plugin name {names.module}", f"by {plugin.distribution}")
    try:
        raise _taken(
            f"the package name {names.distribution}",
            f"by {names.distribution} {distribution(names.distribution).version}",
        )
    except PackageNotFoundError:
        pass
    spec = find_spec(names.module)
    if spec is not None:
        where = spec.origin or next(iter(spec.submodule_search_locations or ()), "Python itself")
        raise _taken(f"the module name {names.module}", f"by {where}")


def _taken(what: str, by: str) -> UserError:
    return UserError(f"{what} is taken already, {by}: choose another name, or uninstall that one")
