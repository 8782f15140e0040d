"""`python -m teaching`: check the chapters, write an edition of their source, build the site, one page of it or all
editions, make the notebooks and run them, make an assignment of a chapter's exercises, grade submissions."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from teaching import assignments, editions, fresh, leaks, notebooks, site

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m teaching", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    edition = commands.add_parser("edition", help="write an edition's source to a folder")
    edition.add_argument("name", choices=sorted(editions.EDITIONS))
    edition.add_argument("dest", type=Path)
    commands.add_parser("check", help="read every chapter and say what is not the book's syntax")
    commands.add_parser("build", help="build the public edition to _build/html")
    built = commands.add_parser("editions", help="build editions to _build/editions; the public one is copied")
    built.add_argument("names", nargs="*", help="public, student, instructor; by default all")
    made = commands.add_parser(
        "notebooks", help="write a notebook of every chapter, and what the notebook branch holds"
    )
    made.add_argument("dest", type=Path, nargs="?", default=ROOT / "_build" / "notebooks")
    made.add_argument(
        "--package", default="", help="what the first cell gives to pip; by default the public repository"
    )
    executed = commands.add_parser("execute", help="run the notebooks in an environment like Colab's")
    executed.add_argument("pages", nargs="*", help="for instance autoencoders/linear; all of them by default")
    executed.add_argument("--full", action="store_true", help="with all of every recipe's steps, not with three")
    page = commands.add_parser("page", help="build one page, for instance autoencoders/linear")
    page.add_argument("page")
    assigned = commands.add_parser("assignment", help="make an assignment of a chapter's exercises")
    assigned.add_argument("page", help="for instance vae/reparameterization")
    assigned.add_argument("--only", nargs="+", default=[], metavar="LABEL", help="these exercises, not all of the page")
    assigned.add_argument("--dest", type=Path, help="folder for it, by default one in _build/assignments")
    graded = commands.add_parser("grade", help="grade a folder of notebooks that students handed in")
    graded.add_argument("submissions", type=Path, help="a folder of notebooks")
    graded.add_argument("--assignment", type=Path, required=True, help="what `make assignment` wrote")
    graded.add_argument("--out", type=Path, default=Path("grades.csv"), help="the table; by default grades.csv")
    graded.add_argument("--roster", type=Path, help="a gradebook exported from Canvas; one to import is written")
    graded.add_argument(
        "--trust-submissions", action="store_true", help="run them without a sandbox, with all rights of yours"
    )
    given = parser.parse_args(arguments)
    try:
        if given.command == "edition":
            written = editions.write(given.name, ROOT, given.dest)
            print(f"{len(written)} pages of the {given.name} edition are in {given.dest}")
            return 0
        if given.command == "check":
            with tempfile.TemporaryDirectory() as folder:
                for name in sorted(editions.EDITIONS):
                    editions.write(name, ROOT, Path(folder) / name)
            leaks.secrets(ROOT, self_check=True)
            return 0
        if given.command == "editions":
            return max(site.build_edition(ROOT, name) for name in given.names or editions.EDITIONS)
        if given.command == "notebooks":
            made = notebooks.write(ROOT, given.dest, notebooks.Addresses.of(ROOT), given.package)
            print(f"{len(made)} notebooks are in {given.dest}. The next call writes them anew: work on copies.")
            return 0
        if given.command == "execute":
            return fresh.execute(ROOT, given.pages, full=given.full)
        if given.command == "assignment":
            folder = assignments.write(ROOT, given.page, given.dest, only=given.only)
            print(f"The assignment is in {folder}; notes.md there says what each file is, and who may see it.")
            return 0
        if given.command == "grade":
            from teaching.grading import grade  # with PyTorch, which the other commands do without

            grade.run(given.submissions, given.assignment, given.out, given.roster, trust=given.trust_submissions)
            print(f"The table is {given.out}.")
            return 0
        return site.build(ROOT) if given.command == "build" else site.build_page(ROOT, given.page)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
