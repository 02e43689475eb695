"""A GPU where there is none: tensors that compute on the CPU, say that they are on another device, and refuse to mix.

What only a GPU shows otherwise, a constant left on the CPU, shows here; its kernels do not. To be registered in an
interpreter of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "stand_in"
DEVICE = f"{NAME}:0"
COPIES = ("aten::_to_copy", "aten::copy_")
"""Operations from one device to another."""
TAKES_INDICES_OF_THE_CPU = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")


def available() -> bool:
    """Whether this torch can be given a device by Python; newer ones can, by an interface that may change."""
    return hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def register() -> None:
    """Make the device known to torch: `with StandIn(): torch.zeros(3, device=DEVICE)`."""
    global _library
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    # Indexing with a list, and torch.tensor, make their tensors where no mode is asked.
    _library = torch.library.Library("aten", "IMPL")
    _library.impl("empty_strided", _empty_strided, "PrivateUse1")
    _library.impl("_copy_from", _copy_from, "PrivateUse1")


_library: Any = None  # what is registered is so for as long as this lives


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Tensor:
    return Standing(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    _inner(target).copy_(_inner(source))
    return target


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Standing) else value


class _Module(getattr(backend_registration, "_DummyBackendModule", object)):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


class Standing(Tensor):
    """A tensor of the device; `inner` has its numbers."""

    inner: Tensor
    is_cuda = True  # what code asks for where a GPU takes another way
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls: type, inner: Tensor) -> Standing:
        made = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=torch.device(DEVICE),
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(function, args, kwargs or {})

    def data_ptr(self) -> int:
        return self.inner.data_ptr()

    def tolist(self) -> Any:
        return self.inner.tolist()


class StandIn(TorchDispatchMode):
    """Within it, what is asked for on the device is there."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _call(function, args, kwargs or {})


def _call(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, device = function._schema.name, kwargs.get("device")
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    standing = [tensor for tensor in given if isinstance(tensor, Standing)]
    if device is not None:
        there = torch.device(device).type == NAME
        kwargs = {**kwargs, "device": torch.device("cpu")} if there else kwargs
    else:
        there = bool(standing)
        mixed = any(tensor.ndim and not isinstance(tensor, Standing) for tensor in given)
        if there and mixed and name not in (*COPIES, *TAKES_INDICES_OF_THE_CPU):
            places = ", ".join(f"{tuple(tensor.shape)} on {tensor.device}" for tensor in given)
            raise RuntimeError(f"{name}: expected tensors on one device, got {places}")
    args, kwargs = tree_map(_inner, (args, kwargs))
    # The bit that stands for a conjugation is resolved above this level, where a Standing has none.
    results = torch.complex(args[0].real, -args[0].imag) if name == "aten::_conj" else function(*args, **kwargs)
    known = {id(tensor.inner): tensor for tensor in standing}

    def back(result: Any) -> Any:
        if not isinstance(result, Tensor) or not there:
            return result
        return known[id(result)] if id(result) in known else Standing(result)

    return tree_map(back, results)
