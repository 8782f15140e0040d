"""What a process gives up before it runs a student's code: memory, files, time, and the right to start other processes.

The sandbox keeps the code away from the machine; this keeps it from exhausting the machine. The filter of system calls
needs no right of its own, and stays for the process's life.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

MEGABYTE = 1 << 20
NO_NEW_PRIVILEGES, SET_SECCOMP, SET_DUMPABLE, FILTER = 38, 22, 4, 2
KILL, ALLOW, ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
NOT_PERMITTED, NO_SUCH_CALL = 1, 38
NEW_THREAD = 0x00010000

# By machine: its audit number, the number of `clone`, and what is refused. To start a process: fork vfork execve execveat.
# To reach another one: kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo ptrace process_vm_readv process_vm_writev
# pidfd_open pidfd_send_signal pidfd_getfd kcmp. To leave: socket bind connect unshare setns mount umount2 pivot_root chroot
# bpf perf_event_open userfaultfd keyctl add_key request_key io_uring_setup. To hold memory that no limit counts: memfd_create
# memfd_secret shmget shmat msgget semget mq_open.
CALLS = {
    "x86_64": (
        0xC000003E,
        56,
        (
            *(57, 58, 59, 322),
            *(62, 200, 234, 129, 297, 101, 310, 311, 434, 424, 438, 312),
            *(41, 49, 42, 272, 308, 165, 166, 155, 161, 321, 298, 323, 250, 248, 249, 425),
            *(319, 447, 29, 30, 68, 64, 240),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        (
            *(221, 281),
            *(129, 130, 131, 138, 240, 117, 270, 271, 434, 424, 438, 272),
            *(198, 200, 203, 97, 268, 40, 39, 41, 51, 280, 241, 282, 219, 217, 218, 425),
            *(279, 447, 194, 196, 186, 190, 180),
        ),
    ),
}
CLONE3 = 435


def hide() -> None:
    """Let no process of the same user look into this one's memory or files."""
    _prctl(SET_DUMPABLE, 0)


def confine(memory: int, seconds: int, file_size: int) -> bool:
    """Limit this process for good; says whether the filter of system calls is in force.

    `memory` is in bytes beyond what the process holds now; `seconds` are of processor time.
    """
    with open("/proc/self/statm", encoding="ascii") as file:
        held = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    limits = {
        resource.RLIMIT_AS: held + memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_FSIZE: file_size,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 128,
    }
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    return _filter()


def _filter() -> bool:
    if platform.machine() not in CALLS:
        return False
    audit, clone, refused = CALLS[platform.machine()]
    program = [
        (0x20, 0, 0, 4),
        (0x15, 1, 0, audit),
        (0x06, 0, 0, KILL),
        (0x20, 0, 0, 0),
    ]  # another machine's calls: end
    program += [(0x35, 0, 1, 0x40000000), (0x06, 0, 0, KILL)]  # x32, which numbers calls otherwise
    for number in refused:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, ERRNO | NOT_PERMITTED)]
    program += [(0x15, 0, 1, CLONE3), (0x06, 0, 0, ERRNO | NO_SUCH_CALL)]  # then the library takes `clone`
    program += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 1, 0, NEW_THREAD), (0x06, 0, 0, ERRNO | NOT_PERMITTED)]
    program += [(0x06, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    head = struct.pack("H6xQ", len(program), ctypes.addressof(code))
    return _prctl(NO_NEW_PRIVILEGES, 1) == 0 and _prctl(SET_SECCOMP, FILTER, head) == 0


def _prctl(option: int, value: int, pointer: bytes | None = None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    arguments = [ctypes.c_ulong(value), ctypes.c_char_p(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0)]
    return library.prctl(ctypes.c_int(option), *arguments)
