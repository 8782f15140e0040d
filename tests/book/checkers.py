"""What the book tests look for, each as a function over a file or a text: it returns the faults it finds.

Every one is itself tested on a broken sample.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

# --- Built pages ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def read(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def anchors(page: Path) -> set[str]:
    return {tag["id"] for tag in read(page).find_all(id=True)} | {
        tag["name"] for tag in read(page).find_all("a", attrs={"name": True})
    }


def broken_links(page: Path) -> list[str]:
    """Links, images, scripts and styles of a page that lead to no file, or to a place that its page does not have."""
    faults = []
    for tag in read(page).find_all(["a", "link", "img", "script", "source"]):
        target = tag.get("href") or tag.get("src") or ""
        parts = urlsplit(target)
        if parts.scheme or parts.netloc or not target:
            continue
        path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        if not path.is_file():
            faults.append(f"{target}: no such file")
        elif parts.fragment and path.suffix == ".html" and unquote(parts.fragment) not in anchors(path):
            faults.append(f"{target}: no such place")
    return faults


def foreign_assets(page: Path) -> list[str]:
    """Scripts, styles, images and fonts that a page would fetch from another host."""
    loading = [tag for tag in read(page).find_all("link") if tag.get("rel") not in (["canonical"], ["license"])]
    loading += read(page).find_all(["script", "img", "iframe", "video", "audio", "source"])
    targets = [tag.get("href") or tag.get("src") or "" for tag in loading]
    return [target for target in targets if re.match(r"(https?:)?//", target)]


def without_alt(page: Path) -> list[str]:
    """Images without a text that says what they show; a file's name is none."""
    faults = []
    for image in read(page).find_all("img"):
        alt = str(image.get("alt") or "").strip()
        if not alt or re.search(r"\.(png|svg|jpe?g|gif)$|^_images|/_images/", alt):
            faults.append(str(image)[:160])
    for drawing in read(page).find_all("svg"):
        hidden = any(str(t.get("aria-hidden")) == "true" for t in [drawing, *drawing.parents] if hasattr(t, "get"))
        if not hidden and not (drawing.get("role") == "img" and str(drawing.get("aria-label") or "").strip()):
            faults.append(str(drawing)[:160])
    return faults


def raw_mathematics(page: Path) -> list[str]:
    """TeX that reaches the reader as text: dollar signs or commands outside code and mathematics."""
    article = BeautifulSoup(str(read(page).find("article") or read(page)), "html.parser")
    for tag in article.find_all(["code", "pre", "script", "style"]) + article.select(".math, .amsmath"):
        tag.decompose()
    text = article.get_text(" ")
    return [
        match.group(0) for match in re.finditer(r"\$\$|\$\\|\\(frac|mathcal|mathbb|sum|theta|phi|begin)\b.{0,20}", text)
    ]


def unresolved(page: Path) -> list[str]:
    """Marks that Sphinx and its extensions leave where a reference leads nowhere."""
    article = read(page).find("article")
    text = article.get_text(" ") if article else ""
    found = re.findall(r"\[\?\]|\(\?\)|%s\b|\{(?:ref|numref|eq|cite:?[pt]?|doc)\}`?", text)
    return found + [str(tag)[:120] for tag in read(page).select(".problematic, .system-message")]


# --- Executed notebooks -----------------------------------------------------------------------------------------------


def error_outputs(notebook: dict) -> list[str]:
    """Errors, and warnings on the error stream, among a notebook's outputs; and code cells that never ran."""
    faults = []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        source = "".join(cell["source"]).strip()
        if source and cell.get("execution_count") is None:
            faults.append(f"not executed: {source.splitlines()[0]}")
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                faults.append(f"{output['ename']}: {output['evalue']}")
            elif output.get("name") == "stderr" and re.search(r"Warning|Traceback", "".join(output["text"])):
                faults.append("".join(output["text"])[:200])
    return faults


# --- Prose ------------------------------------------------------------------------------------------------------------

TERMS: dict[str, str] = {
    r"\w*quantis\w+": "quantiz-",
    r"\w*parametri[sz]\w+": "-parameteriz-",
    r"\w*parameteris\w+": "-parameteriz-",
    r"\w*(?:regular|normal|initial|optim|minim|maxim|general|discret|binar|visual|summar|factor|local|random|standard|memor|recogn)"
    r"is(?:e[ds]?|ing|ation\w*|er\w*)": "-iz-",
    r"colou?r(?<=colour)\w*": "color",
    r"behaviour\w*": "behavior",
    r"neighbour\w*": "neighbor",
    r"favour\w*": "favor",
    r"(?:centre[ds]?|centring)": "center",
    r"(?:modell|labell|travell|cancell)(?:ed|ing|er)\w*": "one l",
    r"analys(?:e[ds]?|ing)": "analyz-",
    r"grey\w*": "gray",
    r"licence\w*": "license",
    r"artefact\w*": "artifact",
    r"whilst": "while",
}
ELBO = r"(?:ELBO|evidence lower bound|variational lower bound)"
NAMING = (
    (rf"{ELBO} loss|loss \(?{ELBO}", "a lower bound is no loss: say `negative ELBO`"),
    (rf"\bminimi[zs]\w*\s+(?:the\s+|an?\s+|this\s+)?{ELBO}", "what is minimized is the negative ELBO"),
    (rf"\bmaximi[zs]\w*\s+(?:the\s+|an?\s+|this\s+)?negative\s+{ELBO}", "what is maximized is the ELBO"),
)
CODE_NAMING = (
    (r"""label\w*\s*[=(].*["'](?![^"']*negative)[^"']*ELBO[^"']*loss""", "the axis shows the negative ELBO: say so"),
    (r"""\bloss\w*\s*=\s*elbo\b""", "a loss is the negative ELBO"),
    (r"""\belbo\w*\.backward\(\)""", "what is minimized is the negative ELBO"),
    (r"""["'][^"']*ELBO loss[^"']*["']""", "a lower bound is no loss: say `negative ELBO`"),
)


def prose_faults(text: str) -> list[str]:
    """British spellings and slips in naming the ELBO in a chapter's text, and such slips in its code, with line numbers."""
    faults = []
    fence = ""
    verbatim = False
    for number, line in enumerate(text.splitlines(), start=1):
        opening = re.match(r"^\s*(`{3,}|~{3,})\s*(\S*)", line)
        if (
            opening
            and not fence
            and re.search(r"code-cell|code-block|python|bash|text|^$|sh$|source|math|bibtex", opening[2])
        ):
            fence, verbatim = opening[1], True
            continue
        if fence and re.match(rf"^\s*{re.escape(fence)}\s*$", line):
            fence, verbatim = "", False
            continue
        plain = re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>|\b\w+://\S+|\$[^$]*\$", " ", line)
        if verbatim:
            faults += [f"{number}: {why}: {line.strip()}" for rule, why in CODE_NAMING if re.search(rule, line)]
            continue
        for rule, american in TERMS.items():
            for match in re.finditer(rf"\b{rule}\b", plain, flags=re.IGNORECASE):
                if not match[0].lower().startswith(("precis", "exercis", "reparameteriz", "parameteriz")):
                    faults.append(f"{number}: `{match[0]}`: American spelling has {american}")
        faults += [f"{number}: {why}" for rule, why in NAMING if re.search(rule, plain, flags=re.IGNORECASE)]
    return faults


def cited(text: str) -> set[str]:
    """The keys that a chapter's text cites."""
    found = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text)
    return {key.strip() for group in found for key in re.sub(r"\{[^}]*\}|<[^>]*>", "", group).split(",")}


def bibliography_keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{\s*([^,\s]+)\s*,", text, flags=re.MULTILINE)


# --- Code -------------------------------------------------------------------------------------------------------------


def imports_up(source: str, module: str, order: Sequence[str]) -> list[str]:
    """The modules of the package that `module` imports although they stand after it in `order`."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        names: Iterable[str] = ()
        if isinstance(node, ast.ImportFrom):
            if node.level == 1 or (node.module or "").split(".")[0] == "autoencoders":
                inner = (node.module or "").removeprefix("autoencoders").strip(".")
                names = [inner] if inner else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("autoencoders.")]
        for name in (name.split(".")[0] for name in names):
            if name in order and order.index(name) >= order.index(module):
                wrong.append(name)
    return wrong


def banned_code(source: str) -> list[str]:
    """`assert`, a bare `except`, and `torch.load` in package code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            found.append(f"{node.lineno}: assert")
        elif isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: bare except")
        elif isinstance(node, ast.Attribute) and node.attr == "load" and getattr(node.value, "id", "") == "torch":
            found.append(f"{node.lineno}: torch.load")
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"{node.lineno}: {name}" for name in names if name in ("pickle", "dill", "cloudpickle")]
    return found


# Written in parts, so that this file does not hold what it looks for.
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w.:/-])/(?:work|root|home/\w+)/" + r"\w",
            "py" + r"pi\.org",
            "files.python" + "hosted",
            "registry." + "npmjs",
            "deb." + r"debian\.org",
        )
    )
)


def machine_names(text: str) -> list[str]:
    """Paths of the machine the book was written on, and addresses of package registries."""
    return [match[0] for match in MACHINE.finditer(text)]


def faults_in(pages: Iterable[Path], checker: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """The faults that `checker` finds, by page; empty where there are none."""
    return {page.name: faults for page in pages if (faults := checker(page))}
