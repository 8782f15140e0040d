"""Build an edition as a site, whole or one page of it, with Jupyter Book."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from teaching import budget, editions, leaks, notebooks

LABEL = re.compile(r"^\(([\w-]+)\)=|^\s*:?(?:label|name): *([\w-]+)|^\$\$ *\(([\w-]+)\)", re.MULTILINE)
UNRESOLVED = re.compile(
    r"undefined label: '?([\w-]+)|equation not found: ([\w-]+)|unknown document: '?\.*/?([\w/.-]+)|"
    r"(?:reference target not found|Failed to create a cross reference[^:]*|label): '?\"?([\w-]+)"
)


def key(root: Path) -> str:
    """A hash of all that a chapter's outputs depend on besides its own text: package, data, pinned versions, Python."""
    digest = hashlib.sha256(repr((sys.version_info[:2], os.environ.get("AE_BUDGET", ""))).encode())
    files = [root / "requirements.txt"]
    for path in sorted((root / "code").rglob("*")):
        generated = "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts)
        if path.is_file() and not generated:
            files.append(path)
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def cache_folder(root: Path) -> Path:
    """Where this state of the package keeps executed pages and trained models."""
    return root / "_build" / "cache" / key(root)


def configure(source: Path, cache: Path, **changes: Any) -> None:
    """Set in the edition's `_config.yml` what depends on this build: the execution cache, where the buttons lead."""
    path = source / "_config.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["execute"]["cache"] = str(cache)
    if url := notebooks.Addresses.of(source).repository:
        config["repository"]["url"] = url
        config["html"]["use_repository_button"] = True
        if hub := os.environ.get("AE_JUPYTERHUB_URL"):
            config["launch_buttons"]["jupyterhub_url"] = hub
    else:
        del config["repository"], config["launch_buttons"]
    path.write_text(yaml.safe_dump({**config, **changes}, sort_keys=False), encoding="utf-8")


def jupyter_book(source: Path, output: Path, cache: Path, *flags: str) -> tuple[int, str]:
    """Run `jupyter-book build`, showing what it prints; return its exit status and that text."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command += ["build", str(source), "--path-output", str(output), "--all", *flags]
    environment = {
        **os.environ,
        "AE_STATIC": "1",
        "AE_PROGRESS": "off",
        "AE_CACHE": os.environ.get("AE_CACHE", str(cache / "models")),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "MALLOC_MMAP_THRESHOLD_": "4194304",  # as `binder/start`, so that a page's memory is what it is there
        "MALLOC_TRIM_THRESHOLD_": "134217728",
        "PYTHONUNBUFFERED": "1",
    }
    said = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as process:
        stream = process.stdout
        if stream is None:
            raise RuntimeError("jupyter-book's output could not be read")
        for line in stream:
            if "[IPKernelApp] WARNING | Kernel is running over TCP" in line:  # the loopback interface
                continue
            said.append(line)
            print(line, end="", flush=True)
    return process.returncode, "".join(said)


def prepare(root: Path, source: Path, cache: Path, edition: str = "public", **changes: Any) -> None:
    """Write to `source` what `jupyter_book` builds `edition` from; `changes` replace settings of `_config.yml`."""
    editions.write(edition, root, source)
    addresses = notebooks.Addresses.of(root)
    if addresses.repository:  # the theme links to a page's notebook where there is one beside it
        notebooks.write(root, source, addresses, only_notebooks=True)
    configure(source, cache, **changes)


def build(root: Path) -> int:
    """Build the public edition of the book to `_build/html`; every warning is an error. Return the exit status.

    Raises:
        LeakError: something built holds a solution or a hidden test.
    """
    work = root / "_build"
    source, cache = work / "public", cache_folder(root)
    prepare(root, source, cache)
    shutil.rmtree(work / "html", ignore_errors=True)
    status, said = jupyter_book(source, root, cache, "-W", "-n", "--keep-going")
    (work / "build.log").write_text(said, encoding="utf-8")
    index = work / "html" / "index.html"
    if status == 0 and not index.exists():
        print(f"The build reported success but wrote no {index}", file=sys.stderr)
        status = 1
    _scan(root, "public", source, work / "html", work / ".doctrees")
    if status == 0:
        if costs := budget.costs(root):
            print("\n" + budget.table(costs))
        print(f"\nThe book is in {index}\nOpen that file in a browser, or serve it with:  make serve")
    return status


def _scan(root: Path, edition: str, *folders: Path) -> None:
    """Search what was built of an edition; what leaks or cannot be searched is removed, so that nobody publishes it."""
    try:
        number = leaks.check(root, edition, *folders)
    except ValueError:  # a leak is one
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    print(f"{number} files of the {edition} edition hold no solution and no hidden test")


def build_edition(root: Path, edition: str, **changes: Any) -> int:
    """Build `edition` to `_build/editions`, a folder with its `source` and its `html`; return the exit status.

    The cells of all editions are the same, so that what the public edition executed comes from the execution cache.
    `changes` replace settings of `_config.yml`.

    Raises:
        LeakError: something built holds a solution or a hidden test that its readers are not to see.
    """
    home = root / "_build" / "editions" / edition
    source, cache = home / "source", cache_folder(root)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    if edition == "public":
        built = root / "_build"
        if not (built / "html" / "index.html").exists():
            raise ValueError("the public edition is not built: make book")
        shutil.copytree(built / "public", source)
        shutil.copytree(built / "html", home / "html")
    else:
        prepare(root, source, cache, edition, **changes)
        status, _ = jupyter_book(source, home, cache, "-W", "-n", "--keep-going")
        if status != 0 or not (home / "_build" / "html" / "index.html").exists():
            print(f"The {edition} edition was not built", file=sys.stderr)
            return status or 1
        shutil.move(home / "_build" / "html", home / "html")
    if edition != "instructor":
        _scan(root, edition, home)
    shutil.rmtree(home / "_build", ignore_errors=True)
    print(f"\nThe {edition} edition is in {home}")
    return 0


def build_page(root: Path, page: str) -> int:
    """Build one page (a path under `book/`, without suffix) and the references; return the exit status.

    Links to pages that are not part of this build are left unresolved without complaint; other warnings fail it.
    """
    page = page.removeprefix("book/").removesuffix(".md")
    if not (root / "book" / f"{page}.md").exists():
        names = sorted(path.relative_to(root / "book").with_suffix("").as_posix() for path in _pages(root))
        print(f"there is no book/{page}.md; pages are: {', '.join(names)}", file=sys.stderr)
        return 2
    work = root / "_build" / "chapter" / page.replace("/", "-")
    source, cache = work / "source", cache_folder(root)
    editions.write("public", root, source, only={page, "appendix/references"})
    configure(source, work / "cache" / cache.name)
    toc: dict[str, Any] = {"format": "jb-book", "root": f"book/{page}"}
    if page != "appendix/references":
        toc["chapters"] = [{"file": "book/appendix/references"}]
    (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    status, said = jupyter_book(source, work, cache, "-n", "-q")
    elsewhere = {label for path in _pages(root) for label in labels(path.read_text(encoding="utf-8"))}
    faults = [
        line
        for line in said.splitlines()
        if re.search(r": (WARNING|ERROR|CRITICAL)", line) and not _outside(line, elsewhere)
    ]
    if faults:
        print(f"\n{len(faults)} to put right (links into other pages of the book are not counted):")
        print("\n".join(faults))
    html = work / "_build" / "html" / "book" / f"{page}.html"
    print(f"\nThe page is in {html}")
    return status or int(bool(faults))


def labels(text: str) -> set[str]:
    """Every label that a chapter's source defines."""
    return {label for match in LABEL.finditer(text) for label in match.groups() if label}


def _outside(warning: str, known: set[str]) -> bool:
    match = UNRESOLVED.search(warning)
    return match is not None and any(group in known or (group and "/" in group) for group in match.groups() if group)


def _pages(root: Path) -> list[Path]:
    return [path for path in editions.source_files(root) if path.suffix == ".md"]
