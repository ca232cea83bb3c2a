"""The system-call filter of the contained process, by libseccomp where the system has it."""

from __future__ import annotations

import ctypes
import errno

LIBRARY = "libseccomp.so.2"

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NOT_THERE = -1

SHUT = (
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "fsopen", "open_tree", "move_mount"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"),
    *("memfd_create", "memfd_secret", "shmget", "msgget", "semget"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "add_key", "request_key"),
    *("socket", "socketpair", "personality", "acct", "quotactl", "name_to_handle_at", "open_by_handle_at"),
)
"""New namespaces and mounts, other processes' memory, memory that no limit counts, the kernel's machinery, sockets."""

_NEW_NAMESPACES = 0x7E020000
"""The flags CLONE_NEW… of clone."""


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("mask", ctypes.c_uint64),
        ("value", ctypes.c_uint64),
    )


_MASKED_EQUAL = 7


def shut_doors() -> bool:
    """Let every system call of `SHUT`, and clone with new namespaces, fail with EPERM in this process and its children.

    Returns:
        Whether that was possible: False where there is no libseccomp, or the kernel has no filters.
    """
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        *(ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint),
        ctypes.POINTER(_Comparison),
    ]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(_ALLOW)
    refused = _ERRNO | errno.EPERM

    def refuse(call: str, answer: int, *comparisons: _Comparison) -> None:
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number != _NOT_THERE:
            array = (_Comparison * max(1, len(comparisons)))(*comparisons)
            library.seccomp_rule_add_array(context, answer, number, len(comparisons), array)

    for call in SHUT:
        refuse(call, refused)
    for bit in (1 << place for place in range(32)):
        if bit & _NEW_NAMESPACES:
            refuse("clone", refused, _Comparison(0, _MASKED_EQUAL, bit, bit))
    # Its flags stand in memory, where a filter cannot look; told that it is not there, the C library takes clone.
    refuse("clone3", _ERRNO | errno.ENOSYS)
    return bool(library.seccomp_load(context) == 0)
