"""The process for students' code: under bubblewrap, with nothing of the machine in reach but Python and the book's package.

It has no network, no user, an empty file system that is read-only but for a small /tmp, an empty environment, and ends
with the process that started it. Where there is no bubblewrap, the same program runs without it, if that is allowed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from teaching.grading.values import Channel, Codec, UnreadableError

HERE = Path(__file__).resolve().parent
INSIDE = ("__init__", "values", "errors", "confine", "answer", "child")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives")
MISSING = (
    "Students' code runs in a sandbox, and bubblewrap is not there ({why}). On Debian or Ubuntu: apt-get install bubblewrap. "
    "On another system grade in a Linux container or machine. If you trust every submission as you trust your own code: "
    "--trust-submissions."
)


@dataclass(frozen=True)
class Limits:
    """Of one answer. Seconds are of the clock; what is over any of them costs the test that it happens in."""

    setup: float = 300.0  # the page's own cells, not the student's
    cell: float = 30.0
    call: float = 20.0
    test: float = 180.0
    memory: int = 3 << 30  # bytes beyond what Python and torch take
    file_size: int = 32 << 20
    folder: int = 64 << 20  # bytes in /tmp
    messages: int = 100_000  # callbacks in one call


class SandboxError(RuntimeError):
    """The sandbox cannot be had, or the page's own setup fails in it."""


class Sandbox:
    """Starts answers, one at a time, each in a new process behind the same setup."""

    def __init__(
        self, setup: tuple[str, ...], limits: Limits, *, trust: bool = False, package: Path | None = None
    ) -> None:
        self.setup, self.limits, self.trust = setup, limits, trust
        self.package = package or package_folder()
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: Channel | None = None

    def start(self, answer: str, helpers: tuple[str, ...] = ()) -> Channel:
        """The channel to a process that is about to execute `answer`; the last one is ended."""
        self.end()
        if self._process is None or self._process.poll() is not None:
            self._launch()
        mine, theirs = socket.socketpair()
        limits = dict(memory=self.limits.memory, file_size=self.limits.file_size)
        seconds = int(20 * (self.limits.cell + self.limits.test))
        try:
            self._control.send(Codec().pack({"op": "start", "limits": limits | {"seconds": seconds}}))
            socket.send_fds(self._control.socket, [b"+"], [theirs.fileno()])
            self._control.receive(time.monotonic() + 60)
        finally:
            theirs.close()
        self._answer = Channel(mine)
        codec = Codec()
        self._answer.send(codec.pack({"op": "define", "answer": answer, "helpers": list(helpers)}))
        return self._answer

    def end(self) -> None:
        """End the answer's process, with all that it may have started."""
        if self._answer is None:
            return
        self._answer.socket.close()
        self._answer = None
        try:
            self._control.send(Codec().pack({"op": "end"}))
            told, _ = self._control.receive(time.monotonic() + 10)
            if told["left"] and not self.trust:
                self.stop()
        except (OSError, EOFError, TimeoutError, UnreadableError, KeyError):
            self.stop()

    def stop(self) -> None:
        """End everything: with its first process the sandbox is gone."""
        if self._answer is not None:
            self._answer.socket.close()
            self._answer = None
        if self._process is not None:
            self._control.socket.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _launch(self) -> None:
        self.stop()
        mine, theirs = socket.socketpair()
        command, environment = self._command(theirs.fileno())
        self._process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        theirs.close()
        self._control = Channel(mine)
        self._control.send(Codec().pack({"op": "setup", "setup": list(self.setup)}))
        try:
            told, _ = self._control.receive(time.monotonic() + self.limits.setup)
        except (TimeoutError, EOFError, OSError, UnreadableError) as error:
            self.stop()
            raise SandboxError(f"the sandbox did not start ({type(error).__name__})") from error
        if told.get("error"):
            self.stop()
            error = told["error"]
            raise SandboxError(f"the page's setup fails in the sandbox: {error['types'][0]}: {error['text']}")

    def _command(self, descriptor: int) -> tuple[list[str], dict[str, str]]:
        program = [sys.executable, "-P", "-B", "-m", "teaching.grading.child", str(descriptor)]
        environment = dict(
            LANG="C.UTF-8",
            PATH="/usr/bin:/bin",
            HOME="/tmp",
            TMPDIR="/tmp",
            MPLBACKEND="Agg",
            MPLCONFIGDIR="/grader/matplotlib",
            OMP_NUM_THREADS="1",
            PYTHONHASHSEED="0",
            PYTHONPATH="/grader:/grader/package",
            AE_CACHE="/tmp",
        )
        if self.trust:
            environment |= dict(
                PYTHONPATH=f"{HERE.parent.parent}:{self.package.parent}",
                PATH=os.environ.get("PATH", ""),
                MPLCONFIGDIR=_matplotlib() or "/tmp",
            )
            return program, environment
        return [*wrapped(self.limits.folder), *_mounts(self.package), "--", *program], environment


def wrapped(folder: int) -> list[str]:
    """bubblewrap's command up to what is mounted besides the system."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    command += ["--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
    for path in SYSTEM:
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            command += ["--ro-bind", path, path]
    for path in FILES:
        command += ["--ro-bind-try", path, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--size", str(folder), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    return [*command, "--size", str(1 << 20), "--tmpfs", "/dev/shm"]


def _mounts(package: Path) -> list[str]:
    command = []
    for path in roots():
        command += ["--ro-bind", path, path]
    for name in INSIDE:
        command += ["--ro-bind", str(HERE / f"{name}.py"), f"/grader/teaching/grading/{name}.py"]
    command += ["--ro-bind", str(package), f"/grader/package/{package.name}"]
    if cache := _matplotlib():
        command += ["--ro-bind", cache, "/grader/matplotlib"]
    return [*command, "--remount-ro", "/proc", "--remount-ro", "/dev", "--remount-ro", "/"]


def roots() -> list[str]:
    """The folders, besides the system's, that Python itself needs."""
    found: list[str] = []
    for path in (sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix):
        real = os.path.realpath(path)
        for place in dict.fromkeys((path, real)):
            if not any(Path(place).is_relative_to(known) for known in (*SYSTEM, *found)):
                found.append(place)
    return found


def package_folder() -> Path:
    """The folder of the book's package; its data come with it."""
    spec = importlib.util.find_spec("autoencoders")
    if spec is None or spec.origin is None:
        raise SandboxError("the package `autoencoders` is not installed")
    return Path(spec.origin).resolve().parent


def exposed(path: Path, package: Path) -> bool:
    """Whether students' code could read `path`: what it may not see must not lie beside Python or in the package."""
    return any(path.resolve().is_relative_to(root) for root in (*SYSTEM, *roots(), package))


def missing() -> str:
    """Why there is no sandbox on this machine; empty where there is one."""
    if sys.platform != "linux":
        return MISSING.format(why=f"it is for Linux, and this is {sys.platform}")
    if shutil.which("bwrap") is None:
        return MISSING.format(why="no `bwrap` on the path")
    command = [*wrapped(1 << 20), "--remount-ro", "/proc", "--remount-ro", "/", "--", "/bin/true"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return MISSING.format(why=tried.stderr.strip()[:300] or "it fails") if tried.returncode else ""


def _matplotlib() -> str | None:
    """The folder of matplotlib's list of fonts, which takes seconds to make."""
    import matplotlib
    from matplotlib import font_manager  # noqa: F401  (makes it)

    folder = matplotlib.get_cachedir()
    return folder if folder and os.path.isdir(folder) else None
