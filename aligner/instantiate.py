"""Objects to and from `{class_path, init_args}`, as YAML and checkpoints have them: plain data, no pickle."""

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any, TypeVar

from aligner.errors import AlignerError

Built = TypeVar("Built")
_NO_SELF = None  # stands for `self` where a constructor's arguments are bound to their names


class UnknownSetting(AlignerError):
    """A setting that a class does not have: of another version of the class, or misspelt."""


class Configurable:
    """An object that knows the settings it was made with (a mixin)."""

    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        bound = inspect.signature(cls.__init__).bind_partial(_NO_SELF, *args, **kwargs)
        bound.apply_defaults()
        # not through torch's own __setattr__, which wants its __init__ to have run
        object.__setattr__(self, "_arguments", dict(list(bound.arguments.items())[1:]))
        return self

    def configuration(self) -> dict[str, Any]:
        """`{class_path, init_args}` in plain types that make this object again.

        Every setting is stated, so that a checkpoint means the same when a default changes.
        """
        arguments = {name: _plain(value) for name, value in self._arguments.items()}
        return {"class_path": public_path(type(self)), "init_args": arguments}


def public_path(cls: type) -> str:
    """The shortest path a class can be imported by, such as `aligner.frontends.Mel`.

    YAML and checkpoints hold it, so that files can move.
    """
    parts = cls.__module__.split(".")
    for length in range(1, len(parts)):
        package = ".".join(parts[:length])
        if getattr(sys.modules.get(package), cls.__name__, None) is cls:
            return f"{package}.{cls.__name__}"
    return f"{cls.__module__}.{cls.__qualname__}"


def instantiate(spec: dict[str, Any], kind: type[Built], *, allow_external: bool = False) -> Built:
    """The object that a `{class_path, init_args}` describes.

    Such a spec inside init_args, or a list of them, is made into objects first, under the same rules.

    Args:
        spec: The class and its settings, in plain types.
        kind: What the object must be an instance of.
        allow_external: Allow classes from outside this package. A checkpoint from a stranger must not say
            what is imported.

    Raises:
        AlignerError: For anything that does not fit, saying what would.
    """
    path = str(spec.get("class_path", "")) if isinstance(spec, dict) else ""
    if isinstance(spec, dict) and (others := sorted(set(spec) - {"class_path", "init_args"})):
        raise AlignerError(f"{path} with {', '.join(others)}: settings of a class stand under init_args")
    if not allow_external and not path.rpartition(".")[0].startswith("aligner."):
        raise AlignerError(
            f"the checkpoint wants the class {path!r} from outside aligner; "
            "if you trust it, load it with trust=True (--trust)"
        )
    cls = _class_at(path)
    if not (inspect.isclass(cls) and issubclass(cls, kind)):
        raise AlignerError(f"class_path {path!r} is not a {kind.__module__}.{kind.__name__}")
    given = dict(spec.get("init_args") or {})
    arguments = {name: _with_parts(value, kind, allow_external) for name, value in given.items()}
    # of the class itself Python 3.11.2 gives those of `__new__` where a child has no `__init__` of its own
    known = list(inspect.signature(cls.__init__).parameters)[1:]
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise UnknownSetting(f"{path} takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    try:
        return cls(**arguments)
    except (AttributeError, TypeError, ValueError) as error:  # Attribute: a number where an object is needed
        raise AlignerError(f"{path}: {error}") from error


def _class_at(path: str) -> Any:
    module_name, _, class_name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AlignerError(f"class_path {path!r} cannot be imported ({error})") from error


def _with_parts(value: Any, kind: type, allow_external: bool) -> Any:
    if isinstance(value, list):
        return [_with_parts(item, kind, allow_external) for item in value]
    if isinstance(value, dict) and "class_path" in value:
        return instantiate(value, kind, allow_external=allow_external)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Configurable):
        return value.configuration()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
