"""Reads the tensors of a file that `torch.save` wrote, without unpickling: nothing in it is imported or called.

A pickle is a program for a small stack machine. This reader walks its operations (`pickletools.genops` only parses)
and knows those that a dictionary of tensors needs; of names it knows `OrderedDict`, the storage types and
`_rebuild_tensor_v2`, and makes of each a plain description. Both layouts are read: the old one, pickles and raw
storages one after another, and the ZIP archive of torch 1.6 and later.
"""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gcnnbench.errors import UserError

MAGIC = 0x1950A86A20F9469CFC6C
LIMIT = 64 * 1024**2
"""Bytes of a file, and of what its archive unpacks to."""
MOST_OPERATIONS = 200_000

STORAGES = {
    "torch DoubleStorage": torch.float64,
    "torch FloatStorage": torch.float32,
    "torch HalfStorage": torch.float16,
    "torch BFloat16Storage": torch.bfloat16,
    "torch LongStorage": torch.int64,
    "torch IntStorage": torch.int32,
    "torch ShortStorage": torch.int16,
    "torch ByteStorage": torch.uint8,
    "torch BoolStorage": torch.bool,
}
DICTIONARY, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_MARK = object()
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "MARK": lambda: _MARK,
}
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SILENT = {"PROTO", "FRAME", "STOP"}


@dataclass(frozen=True)
class _Name:
    """What the pickle would import."""

    text: str


@dataclass(frozen=True)
class _Storage:
    """A storage by its key: `count` numbers of a type."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(content: bytes) -> dict[str, Tensor]:
    """The tensors of a state dictionary by name.

    Raises:
        UserError: the file is too large, of another layout, or asks for anything but tensors; nothing of it was run.
    """
    if len(content) > LIMIT:
        raise UserError(f"the file has {len(content):,} bytes; at most {LIMIT:,} are read")
    try:
        return _archive(content) if zipfile.is_zipfile(io.BytesIO(content)) else _sequence(content)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged file makes of the parsers
        raise UserError(
            f"the file is damaged, or nothing that torch.save wrote: {error or type(error).__name__}"
        ) from None


def _archive(content: bytes) -> dict[str, Tensor]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(one.file_size for one in archive.infolist()) > LIMIT:
            raise UserError(f"the archive unpacks to more than {LIMIT:,} bytes")
        names = archive.namelist()
        (pickle,) = (name for name in names if name.endswith("/data.pkl"))
        root = pickle.removesuffix("data.pkl")
        order = f"{root}byteorder"
        if order in names and archive.read(order) != b"little":
            raise UserError("the file is written in another byte order than little-endian")
        found = _run(io.BytesIO(archive.read(pickle)))
        return _tensors(found, lambda storage: archive.read(f"{root}data/{storage.key}"))


def _sequence(content: bytes) -> dict[str, Tensor]:
    stream = io.BytesIO(content)
    if _run(stream) != MAGIC:
        raise UserError("the file does not begin as torch.save begins one")
    _run(stream)  # the version of the protocol
    system = _run(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UserError("the file is written in another byte order than little-endian")
    found, keys = _run(stream), _run(stream)
    raw: dict[str, bytes] = {}
    sizes = {one.storage.key: one.storage.count * one.storage.dtype.itemsize for one in _described(found).values()}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        size = sizes.get(key, 0)
        raw[key] = stream.read(size)
        if key not in sizes or len(raw[key]) != size or count < 0:
            raise UserError(f"storage {str(key)[:40]} is not the one that its tensors need")
    return _tensors(found, lambda storage: raw[storage.key])


def _described(found: object) -> dict[str, _Tensor]:
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(one, _Tensor) for name, one in found.items()
    ):
        raise UserError("the file holds something else than a dictionary of tensors by name")
    return found


def _tensors(found: object, raw: Callable[[_Storage], bytes]) -> dict[str, Tensor]:
    tensors = {}
    for name, one in _described(found).items():
        content = raw(one.storage)
        numbers = torch.frombuffer(bytearray(content), dtype=one.storage.dtype) if content else torch.empty(0)
        last = one.offset + sum((size - 1) * step for size, step in zip(one.shape, one.stride, strict=True))
        sane = min((one.offset, *one.shape, *one.stride)) >= 0 and numbers.numel() == one.storage.count
        if not sane or (0 not in one.shape and last >= numbers.numel()):
            raise UserError(f"tensor {name[:80]!r} reaches outside its storage")
        tensors[name] = numbers.as_strided(one.shape, one.stride, one.offset).clone()
    return tensors


def _run(stream: io.BytesIO) -> Any:
    """What one pickle of the stream describes."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for count, (operation, argument, _) in enumerate(pickletools.genops(stream)):
        if count > MOST_OPERATIONS:
            raise UserError(f"the file has more than {MOST_OPERATIONS:,} operations")
        _step(operation.name, argument, stack, memo)
    (found,) = stack
    return found


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:
    if name in _SILENT:
        return
    if name in _CONSTANTS:
        stack.append(_CONSTANTS[name]())
    elif name in _VALUES:
        stack.append(argument)
    elif name in ("BINPUT", "LONG_BINPUT"):
        memo[argument] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in ("BINGET", "LONG_BINGET"):
        stack.append(memo[argument])
    elif name == "GLOBAL":
        stack.append(_known(argument))
    elif name == "STACK_GLOBAL":
        attribute, module = stack.pop(), stack.pop()
        stack.append(_known(f"{module} {attribute}"))
    elif name in _TUPLES:
        items = [stack.pop() for _ in range(_TUPLES[name])]
        stack.append(tuple(reversed(items)))
    elif name == "TUPLE":
        stack.append(tuple(_marked(stack)))
    elif name == "SETITEM":
        value, key = stack.pop(), stack.pop()
        stack[-1][key] = value
    elif name == "SETITEMS":
        items = _marked(stack)
        stack[-1].update(zip(items[::2], items[1::2], strict=True))
    elif name == "APPEND":
        value = stack.pop()
        stack[-1].append(value)
    elif name == "APPENDS":
        items = _marked(stack)
        stack[-1].extend(items)
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif name == "REDUCE":
        arguments, called = stack.pop(), stack.pop()
        stack.append(_made(called, arguments))
    elif name == "BUILD" and isinstance(stack[-2], dict):
        stack.pop()  # attributes of a dictionary, as its _metadata
    else:
        raise UserError(f"the file asks for {name}, which no dictionary of tensors needs")


def _marked(stack: list[Any]) -> list[Any]:
    place = max(index for index, one in enumerate(stack) if one is _MARK)
    items = stack[place + 1 :]
    del stack[place:]
    return items


def _known(name: str) -> _Name:
    if name not in (DICTIONARY, TENSOR, *STORAGES):
        raise UserError(f"the file asks for {name.replace(' ', '.')[:80]}, which no dictionary of tensors needs")
    return _Name(name)


def _storage(persistent: Any) -> _Storage:
    kind, name, key, _, count, *_ = persistent
    if kind != "storage" or not isinstance(name, _Name) or name.text not in STORAGES:
        raise UserError("the file refers to something else than a storage")
    if not isinstance(key, str) or not isinstance(count, int) or not 0 <= count <= LIMIT:
        raise UserError("the file refers to a storage without a key or a size")
    return _Storage(key, STORAGES[name.text], count)


def _made(called: Any, arguments: Any) -> Any:
    if called == _Name(DICTIONARY) and arguments == ():
        return {}
    if called == _Name(TENSOR) and isinstance(arguments, tuple) and isinstance(arguments[0], _Storage):
        storage, offset, shape, stride, *_ = arguments
        if all(isinstance(one, int) for one in (offset, *shape, *stride)) and len(shape) == len(stride):
            return _Tensor(storage, offset, tuple(shape), tuple(stride))
    raise UserError("the file calls something, or with other arguments than a dictionary of tensors needs")
