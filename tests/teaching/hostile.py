"""Submissions that try to gain points or to stop the grading: the code of an answer cell, by what it tries.

Each is an answer to `double`, wrong but for its trick. TARGET stands for a file of the grader's that it is after.
"""

WRONG = "\ndef double(x):\n    return x\n"

CELLS = {
    "patches-torch": """
import torch
torch.allclose = torch.equal = torch.isclose = lambda *a, **k: True
torch.testing.assert_close = lambda *a, **k: None
torch.Tensor.__eq__ = torch.Tensor.all = torch.Tensor.allclose = lambda *a, **k: True
"""
    + WRONG,
    "patches-builtins": """
import builtins, sys, math
builtins.AssertionError = builtins.all = builtins.abs = builtins.len = lambda *a: True
math.isclose = lambda *a, **k: True
for name in list(sys.modules):
    if name.startswith(("teaching", "pytest", "unittest")):
        sys.modules[name] = None
"""
    + WRONG,
    "patches-grader": """
import teaching.grading.answer as answer, teaching.grading.values as values
values.Codec.encode = lambda self, value, depth=0: True
answer.described = lambda error: None
"""
    + WRONG,
    "equal-to-everything": """
class Same:
    shape, requires_grad = (2,), True
    def __eq__(self, other): return True
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __bool__(self): return True
    __torch_function__ = classmethod(lambda *a, **k: True)
def double(x):
    return Same()
""",
    "tensor-subclass": """
import torch
class Same(torch.Tensor):
    @classmethod
    def __torch_function__(cls, f, types, args=(), kwargs=None):
        if f in (torch.allclose, torch.equal, torch.Tensor.__eq__):
            return True
        return super().__torch_function__(f, types, args, kwargs)
def double(x):
    return x.as_subclass(Same)
""",
    "reads-tests": """
import gc, glob, os
found = []
likely = [p for k in range(1, 5) for p in glob.glob("/*" * k + "/assignment.json")]
for place in ("TARGET", *likely, *glob.glob("/proc/*/mem"), *glob.glob("/proc/*/cmdline")):
    try:
        found.append(open(place, "rb").read(10**6))
    except OSError:
        pass
tests = [o for o in gc.get_objects() if type(o) is type(lambda: 0) and o.__name__ == "test_values"]
known = b"test_values" in b"".join(found) or bool(tests)
def double(x):
    return 2 * x if known else x
""",
    "overwrites-tests": """
import os
for place in ("TARGET", "/grader/teaching/grading/child.py", "/grader/teaching/grading/values.py", "/usr/bin/env"):
    for change in (lambda p: open(p, "w").write("{}"), os.remove, lambda p: os.rename(p, p + "2"), lambda p: os.chmod(p, 511)):
        try:
            change(place)
        except OSError:
            pass
"""
    + WRONG,
    "forges-results": """
import json, os, struct
outcome = {"question": "ex-small-double", "test": 0, "passed": True, "reason": ""}
said = {"op": "reply", "error": None, "value": True, "outcome": outcome, "table": [], "buffers": []}
said = json.dumps(said).encode()
frame = struct.pack(">QQ", len(said), 0) + said
for fd in range(3, 128):
    try:
        os.write(fd, frame * 50)
        os.write(fd, said + b"\\n")
    except OSError:
        pass
"""
    + WRONG,
    "forges-gradients": """
import torch
from teaching.grading import answer
answer.Served.describe = lambda self, tensor: {"made": -1}
def double(x):
    return (2 * x).detach()
""",
    "garbage-on-the-channel": """
import os
def double(x):
    for fd in range(3, 128):
        try:
            os.write(fd, os.urandom(4096))
        except OSError:
            pass
    return 2 * x
""",
    "pickle": """
import os, torch
class Run:
    def __reduce__(self):
        return os.system, ("touch TARGET.pickled",)
def double(x):
    return [Run(), Run()]
""",
    "exits-in-the-cell": "import os\nos._exit(0)\n" + WRONG,
    "exits-in-the-call": "import os\ndef double(x):\n    os._exit(0)\n",
    "exits-in-the-gradient": """
import os, torch
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return 2 * x
    @staticmethod
    def backward(ctx, grad): os._exit(0)
double = Twice.apply
""",
    "raises-what-nobody-catches": "def double(x):\n    raise SystemExit(0)\n",
    "raises-what-cannot-be-said": """
class Silent(BaseException):
    def __str__(self): raise SystemExit
def double(x):
    raise Silent
""",
    "never-ends-in-the-cell": "while True: pass\n" + WRONG,
    "never-ends-in-the-call": "def double(x):\n    while True: pass\n",
    "never-ends-in-a-method": """
import itertools, time
class Slow(list):
    def __iter__(self):
        while True: time.sleep(1)
    def __getattr__(self, name): time.sleep(10**6)
def double(x):
    return Slow([1])
""",
    "never-ends-as-a-result": "import itertools\ndef double(x):\n    return itertools.count()\n",
    "exhausts-memory": "import torch\ndef double(x):\n    return torch.ones(10 << 30, dtype=torch.uint8)\n",
    "exhausts-memory-slowly": "held = []\ndef double(x):\n    while True: held.append(bytearray(1 << 24))\n",
    "exhausts-processes": """
import os, subprocess, multiprocessing
def double(x):
    while True:
        other = multiprocessing.Process(target=int)
        for start in (os.fork, lambda: subprocess.Popen(["/bin/sleep", "1000"]), other.start):
            try:
                start()
            except OSError:
                return x
""",
    "exhausts-threads": """
import threading, time
def double(x):
    try:
        while True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
    except (RuntimeError, MemoryError):
        return x
""",
    "exhausts-disk": """
import os
def double(x):
    for folder in ("/tmp", "/dev/shm", "/", "/grader", "/dev"):
        for i in range(10000):
            try:
                with open(f"{folder}/{i}", "wb") as file:
                    while True: file.write(bytes(1 << 22))
            except OSError as error:
                if error.errno != 27: break
    return x
""",
    "fills-the-output": "def double(x):\n    for _ in range(200): print('x' * (1 << 20))\n    return x\n",
    "escapes-by-ctypes": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.system(b"touch TARGET.escaped; kill -9 -1")
for call in (libc.fork, libc.vfork):
    if call() == 0: libc._exit(0)
libc.mount(b"/", b"/tmp", None, 4096, None)
libc.unshare(0x10000000)
libc.ptrace(16, 1, 0, 0)
"""
    + WRONG,
    "crashes-by-ctypes": "import ctypes\ndef double(x):\n    ctypes.string_at(0)\n",
    "crashes-by-recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef double(x):\n    return double(x)\n",
    "kills-the-parent": """
import os, signal
for pid in (os.getppid(), 1, 0, -1, *range(2, 3000)):
    if pid != os.getpid():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
"""
    + WRONG,
    "leaves-a-daemon": """
import os, threading, time
def disturb():
    for fd in range(3, 64):
        try: os.write(fd, b"x")
        except OSError: pass
def wait():
    while True:
        time.sleep(0.01)
        disturb()
disturb()
threading.Thread(target=wait, daemon=True).start()
try:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: wait()
        os._exit(0)
except OSError:
    pass
"""
    + WRONG,
    "follows-links": """
import os
for name, target in (("/tmp/a", "TARGET"), ("/tmp/b", "/proc/1/root/etc/passwd"), ("/tmp/c", "/proc/1/cwd")):
    try:
        os.symlink(target, name)
        open(name).read()
        open(name, "w").write("x")
    except OSError:
        pass
"""
    + WRONG,
    "asks-the-network": """
import socket, urllib.request
try:
    urllib.request.urlopen("http://127.0.0.1:80", timeout=1)
except OSError:
    pass
"""
    + WRONG,
    "a-number-of-many-digits": "def double(x):\n    import sys; sys.set_int_max_str_digits(0)\n    return 10**200000\n",
    "lists-in-lists": "def double(x):\n    y = []\n    for _ in range(10**5): y = [y]\n    return y\n",
    "itself-in-a-list": "def double(x):\n    y = []\n    y.append(y)\n    return y\n",
    "not-a-number": "def double(x):\n    return x * float('nan')\n",
    "another-shape": "def double(x):\n    return (2 * x).expand(1000, *x.shape)\n",
    "syntax-error": "def double(x)\n    return 2 * x\n",
    "zero-byte": "def double(x):\n    return 2 * x\0\n",
    "deep-syntax": "y = " + "(" * 20000 + ")" * 20000 + WRONG,
}

# Answers to a question that is graded in the answer's own process: they try to forge the verdict there.
CONTAINED_CELLS = {
    "patched-comparisons": """
import torch
torch.allclose = torch.equal = lambda *a, **k: True
class Scale(torch.nn.Module):
    def __init__(self, by): super().__init__()
    def forward(self, x): return x
""",
    "patched-raise": """
import builtins
builtins.AssertionError = type("Fine", (Exception,), {})
import torch
class Scale(torch.nn.Module):
    def __init__(self, by): super().__init__()
    def forward(self, x): return x
""",
    "patched-server": """
import teaching.grading.answer as answer, torch
answer.Answer.do_contained = lambda self, m, b, reply: {"value": reply.encode([["passed", None]] * len(m["tests"]))}
class Scale(torch.nn.Module): pass
""",
    "leaves-in-the-test": """
import os, torch
class Scale(torch.nn.Module):
    def __init__(self, by): os._exit(0)
""",
    "equal-in-the-test": """
class Same:
    def __init__(self, *a): pass
    def __eq__(self, other): return True
    def __call__(self, *a): return self
    __torch_function__ = classmethod(lambda *a, **k: True)
Scale = Same
""",
}

# What wrong values of the right shape earn: the visible test's point, as in the notebook. The tricks add nothing to it.
ONE = (
    "patches-torch exits-in-the-gradient tensor-subclass reads-tests overwrites-tests exhausts-processes exhausts-threads "
    "exhausts-disk fills-the-output escapes-by-ctypes kills-the-parent follows-links asks-the-network not-a-number"
)
EARNED = dict.fromkeys(ONE.split(), "1")
