"""The program inside the sandbox: it runs the setup, then each answer in a process of its own, and serves its functions.

Started as `python -m teaching.grading.child FD`, with a socket as FD. The first process runs the book's code alone and only
forks; what it forks gives up its rights, executes the student's cell and answers calls over a socket of its own. Nothing
that either of them says is believed outside: it is read as values.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
from typing import Any

import numpy as np
import torch

from teaching.grading.answer import Answer, run
from teaching.grading.confine import confine, hide
from teaching.grading.errors import described
from teaching.grading.values import Channel, Codec, UnreadableError


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def _become(end: socket.socket, names: dict[str, Any], limits: dict[str, int]) -> None:
    """What a forked process does for the rest of its life."""
    os.setsid()
    confine(limits["memory"], limits["seconds"], limits["file_size"])
    _seed()
    Answer(Channel(end), names).serve()


def main() -> None:
    hide()
    control = socket.socket(fileno=int(sys.argv[1]))
    channel, codec = Channel(control), Codec()
    torch.set_num_threads(1)
    names: dict[str, Any] = {"__name__": "__main__"}
    message, _ = channel.receive()
    try:
        _seed()
        for source in message["setup"]:
            run(source, names, "<setup>")
        channel.send(codec.pack({"op": "ready", "error": None}))
    except Exception as error:
        channel.send(codec.pack({"op": "ready", "error": described(error)}))
        return
    running = 0
    while True:
        try:
            message, _ = channel.receive()
        except EOFError:
            return
        if message["op"] == "start":
            _, (descriptor, *_), _, _ = socket.recv_fds(control, 1, 1)
            running = os.fork()
            if not running:
                try:
                    control.close()
                    _become(socket.socket(fileno=descriptor), names, message["limits"])
                finally:
                    os._exit(0)
            os.close(descriptor)
        elif running:
            try:
                os.killpg(running, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(running, signal.SIGKILL)
            os.waitpid(running, 0)
            running = 0
        left = [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (1, os.getpid())]
        channel.send(codec.pack({"op": "done", "left": len(left)}))


if __name__ == "__main__":
    try:
        main()
    except (UnreadableError, OSError):
        sys.exit(1)
