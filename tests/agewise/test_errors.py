"""The tree that the module draws is the tree that it makes, and its messages say what to do."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from agewise import errors
from agewise.errors import AgewiseError, MissingExtraError, unknown_name

CLASSES = [value for _, value in inspect.getmembers(errors, inspect.isclass) if value.__module__ == errors.__name__]


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn: dict[str, str] = {}
    open_branches: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"((?:│   |    |├── |└── )*)(\w+Error)\b", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        open_branches[depth:] = [found[2]]
        drawn[found[2]] = open_branches[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in CLASSES}


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_documented_and_caught_at_the_root(cls: type[AgewiseError]) -> None:
    assert issubclass(cls, AgewiseError)
    assert cls.__doc__


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ImageReadError", ValueError),
        ("ArrayError", ValueError),
        ("UnknownModelError", ValueError),
        ("GoldenCheckError", ValueError),
        ("UnknownDetectorError", ValueError),
        ("SourceError", ValueError),
        ("MissingExtraError", ImportError),
        ("OutputError", OSError),
    ],
)
def test_each_is_also_what_python_would_raise(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_comes_back_from_another_process(cls: type[AgewiseError]) -> None:
    error = cls("dlib-hog", "dlib") if cls is MissingExtraError else cls("what came, what to do")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is cls
    assert str(back) == str(error)


def test_a_missing_extra_gives_the_command() -> None:
    error = MissingExtraError("the detector dlib-hog", "dlib")
    assert str(error) == "the detector dlib-hog needs the extra 'dlib': pip install 'agewise[dlib]'"
    assert (error.what, error.extra) == ("the detector dlib-hog", "dlib")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mtcn", "unknown detector 'mtcn': did you mean 'mtcnn'? Known: mtcnn, YuNet, none"),
        ("MTCNN", "unknown detector 'MTCNN': did you mean 'mtcnn'? Known: mtcnn, YuNet, none"),
        ("yunet", "unknown detector 'yunet': did you mean 'YuNet'? Known: mtcnn, YuNet, none"),
        ("retina", "unknown detector 'retina': Known: mtcnn, YuNet, none"),
        ("", "unknown detector '': Known: mtcnn, YuNet, none"),
    ],
)
def test_an_unknown_name_gets_the_list_and_the_nearest(name: str, message: str) -> None:
    assert unknown_name("detector", name, iter(["mtcnn", "YuNet", "none"])) == message
