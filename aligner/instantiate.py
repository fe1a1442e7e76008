"""Objects from `{class_path, init_args}`, as YAML and checkpoints have them: plain data, nothing pickled."""

import importlib
import inspect
from typing import Any, TypeVar

from aligner.errors import AlignerError

Built = TypeVar("Built")


def build(
    spec: dict[str, Any], kind: type[Built] | tuple[type, ...], *, own_only: bool = False, **linked
) -> Built:
    """What `spec` describes, called with its init_args and `linked` arguments.

    Where init_args hold such a spec, or a list of them (`frontends.Combine` is made of frontends), that is
    built first, under the same rules. kind: what it must be. own_only: refuse classes from outside this
    package (a checkpoint from a stranger must not say what is imported). Raises AlignerError for anything
    that does not fit, saying what would.
    """
    path = spec.get("class_path", "") if isinstance(spec, dict) else ""
    if isinstance(spec, dict) and (others := sorted(set(spec) - {"class_path", "init_args"})):
        raise AlignerError(f"{path} with {', '.join(others)}: settings of a class stand under init_args")
    if own_only and not str(path).rpartition(".")[0].startswith("aligner."):
        raise AlignerError(
            f"the checkpoint wants the class {path!r} from outside aligner; "
            "if you trust it, load it with trust=True"
        )
    cls = _class_at(str(path))
    if not (inspect.isclass(cls) and issubclass(cls, kind)):
        raise AlignerError(f"class_path {path!r} is not a {kind}")
    given = dict(spec.get("init_args") or {})
    arguments = {name: _parts_built(value, kind, own_only) for name, value in given.items()}
    known = [name for name in inspect.signature(cls).parameters if name not in linked]
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise AlignerError(f"{path} takes no {', '.join(unknown)}; it takes {', '.join(known)}")
    try:
        return cls(**arguments, **linked)  # type: ignore[return-value]
    except (AttributeError, TypeError, ValueError) as error:  # Attribute: a number where an object is needed
        raise AlignerError(f"{path}: {error}") from error


def in_full(spec: dict[str, Any]) -> dict[str, Any]:
    """`spec`, which has been built, with the defaults of what it does not state: a checkpoint must mean the
    same when a default changes."""
    stated = {name: _parts_in_full(value) for name, value in (spec.get("init_args") or {}).items()}
    parameters = inspect.signature(_class_at(spec["class_path"])).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in defaults.items()}
    return {"class_path": spec["class_path"], "init_args": plain | stated}


def _class_at(path: str) -> type:
    module_name, _, class_name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise AlignerError(f"class_path {path!r} cannot be imported ({error})") from error


def _parts_in_full(value: Any) -> Any:
    if isinstance(value, list):
        return [_parts_in_full(item) for item in value]
    return in_full(value) if isinstance(value, dict) and "class_path" in value else value


def _parts_built(value: Any, kind: type | tuple[type, ...], own_only: bool) -> Any:
    if isinstance(value, list):
        return [_parts_built(item, kind, own_only) for item in value]
    if isinstance(value, dict) and "class_path" in value:
        return build(value, kind, own_only=own_only)
    return value
