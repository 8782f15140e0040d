"""The workflows: valid, with no more rights than they need, and their scripts do what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((GITHUB / "workflows").glob("*.yml"))
}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
WRITES = {
    ("publish.yml", "notebooks"): {"contents"},
    ("publish.yml", "publish"): {"pages", "id-token"},
    ("colab.yml", "issue"): {"issues"},
}


def runs(workflow: str, job: str) -> list[str]:
    return [step["run"] for step in WORKFLOWS[workflow]["jobs"][job]["steps"] if "run" in step]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_says_what_starts_it_and_may_only_read(name):
    workflow = WORKFLOWS[name]
    assert set(workflow) == {"name", True, "permissions", "concurrency", "jobs"}  # YAML reads the key `on` as true
    assert "workflow_dispatch" in workflow[True] and workflow[True]["schedule"][0]["cron"].count(" ") == 4
    assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name, job", JOBS)
def test_a_job_ends_and_has_only_the_rights_it_needs(name, job):
    said = WORKFLOWS[name]["jobs"][job]
    assert {"runs-on", "timeout-minutes", "steps"} <= set(said)
    writes = {right for right, level in said.get("permissions", {}).items() if level != "read"}
    assert writes == WRITES.get((name, job), set())
    assert all(("uses" in step) != ("run" in step) for step in said["steps"])
    needs = said.get("needs", [])
    assert set([needs] if isinstance(needs, str) else needs) <= set(WORKFLOWS[name]["jobs"])


@pytest.mark.parametrize("name, job", JOBS)
def test_commands_are_bash_and_name_what_exists(name, job):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in runs(name, job):
        checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True)
        assert checked.returncode == 0, checked.stderr
        assert "${{" not in command  # what GitHub fills in comes through variables, never as part of a program
        assert [
            path for path in re.findall(r"(?<!\S)\.(?:github|ci)/[\w./-]+", command) if not (ROOT / path).is_file()
        ] == []
        assert [target for target in re.findall(r"\bmake ([a-z][\w-]*)", command) if target not in targets] == []


def test_notebooks_are_made_with_the_address_of_the_repository_and_only_main_publishes():
    jobs = WORKFLOWS["publish.yml"]["jobs"]
    assert "make notebooks" in runs("publish.yml", "test")
    assert jobs["test"]["env"]["AE_REPOSITORY_URL"] == "${{ github.server_url }}/${{ github.repository }}"
    for name in ("notebooks", "publish"):
        assert jobs[name]["if"] == "github.event_name != 'pull_request' && github.ref == 'refs/heads/main'"


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone of a repository with one commit on `main`."""
    for key, value in {"NAME": "a", "EMAIL": "a@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", value)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "server")
    git(tmp_path, "clone", "--quiet", f"file://{tmp_path / 'server'}", "clone")
    (tmp_path / "clone" / "source.md").write_text("source")
    git(tmp_path / "clone", "add", "source.md")
    git(tmp_path / "clone", "commit", "--quiet", "-m", "source")
    git(tmp_path / "clone", "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return tmp_path / "clone"


@pytest.fixture
def notebooks(tmp_path) -> Path:
    """A tree of notebooks, with an executable file and one that a `.gitignore` names."""
    folder = tmp_path / "tree"
    (folder / "book").mkdir(parents=True)
    (folder / "binder").mkdir()
    (folder / "book" / "a.ipynb").write_text("{}")
    (folder / "binder" / "postBuild").write_text("#!/bin/bash\n")
    (folder / "binder" / "postBuild").chmod(0o755)
    (folder / ".gitignore").write_text("*.ipynb\n")
    return folder


def push(clone: Path, tree: Path, commit: str) -> subprocess.CompletedProcess:
    command = [GITHUB / "push-notebooks.sh", tree, commit]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True)


def test_the_branch_begins_without_the_source_and_then_only_grows(clone, notebooks):
    server = clone.parent / "server"
    main = git(server, "rev-parse", "main")
    assert push(clone, notebooks, "first").returncode == 0
    begun = git(server, "rev-parse", "notebooks")
    assert git(server, "log", "--format=%s", "notebooks") == "Notebooks made from first"
    listed = git(server, "ls-tree", "-r", "--format=%(objectmode) %(path)", "notebooks").splitlines()
    assert listed == ["100644 .gitignore", "100755 binder/postBuild", "100644 book/a.ipynb"]

    again = push(clone, notebooks, "second")
    assert again.returncode == 0 and "not changed" in again.stdout
    assert git(server, "rev-parse", "notebooks") == begun

    (notebooks / "book" / "a.ipynb").unlink()
    (notebooks / "book" / "b.ipynb").write_text("{}")
    assert push(clone, notebooks, "third").returncode == 0
    assert git(server, "rev-parse", "notebooks^") == begun
    assert git(server, "log", "-1", "--format=%s", "notebooks") == "Notebooks made from third"
    assert "book/b.ipynb" in git(server, "ls-tree", "-r", "--name-only", "notebooks")
    assert "book/a.ipynb" not in git(server, "ls-tree", "-r", "--name-only", "notebooks")
    assert git(server, "rev-parse", "main") == main and git(clone, "status", "--porcelain") == ""


def test_the_branch_grows_from_a_fresh_shallow_clone_as_the_workflow_has_one(clone, notebooks, tmp_path):
    assert push(clone, notebooks, "first").returncode == 0
    git(tmp_path, "clone", "--quiet", "--depth=1", "--single-branch", f"file://{tmp_path / 'server'}", "shallow")
    (notebooks / "book" / "b.ipynb").write_text("{}")
    done = push(tmp_path / "shallow", notebooks, "second")
    assert done.returncode == 0, done.stderr
    assert git(tmp_path / "server", "rev-list", "--count", "notebooks") == "2"


def test_an_empty_tree_and_an_unreachable_server_push_nothing(clone, notebooks, tmp_path):
    (tmp_path / "empty").mkdir()
    refused = push(clone, tmp_path / "empty", "x")
    assert refused.returncode == 1 and "no notebook" in refused.stderr
    git(clone, "remote", "set-url", "origin", f"file://{tmp_path / 'nowhere'}")
    assert push(clone, notebooks, "x").returncode not in (0, 2)


def run_notebooks(folder: Path, report: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [GITHUB / "run-notebooks.sh", folder, report, *command], capture_output=True, text=True, cwd=folder
    )


def test_a_failing_notebook_is_named_with_its_error_and_the_others_run(tmp_path):
    folder, report = tmp_path / "notebooks", tmp_path / "report.md"
    for name, source in {"book/a": "1 + 1", "book/part/b c": "raise ValueError('spoiled')", "book/z": "2"}.items():
        path = folder / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        cell = {
            "cell_type": "code",
            "id": "x",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        path.write_text(json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    options = ["--ExecutePreprocessor.kernel_name=python3", "--output-dir", str(tmp_path / "out")]
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", *options]
    done = run_notebooks(folder, report, *command)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("== ")] == [
        "== book/a.ipynb",
        "== book/part/b c.ipynb",
        "== book/z.ipynb",
    ]
    said = report.read_text()
    assert said.startswith("1 of 3 notebooks failed:\n\n- `book/part/b c.ipynb`\n")
    assert "ValueError: spoiled" in said and "\x1b" not in said and "a.ipynb" not in said

    done = run_notebooks(folder, report, "true")
    assert done.returncode == 0 and report.read_text().startswith("All 3 notebooks ran")
    (tmp_path / "empty").mkdir()
    assert run_notebooks(tmp_path / "empty", report, "true").returncode == 2


@pytest.mark.parametrize("number", ["", "17"])
def test_the_second_failure_goes_to_the_open_issue(tmp_path, monkeypatch, number):
    calls = tmp_path / "calls.txt"
    fake = f"""#!/bin/bash
printf '%s ' "$@" >> {calls}; echo >> {calls}
[ "$2" != list ] || printf '{number}'
while [ $# -gt 0 ]; do if [ "$1" = --body-file ]; then cp "$2" {tmp_path}/body.md; fi; shift; done
"""
    (tmp_path / "gh").write_text(fake)
    (tmp_path / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "report.md").write_text("1 of 3 notebooks failed")
    command = [GITHUB / "report-issue.sh", tmp_path / "report.md", "https://example.org/run"]
    subprocess.run(command, check=True)
    said = calls.read_text().splitlines()[-1]
    assert said.startswith("issue comment 17 " if number else "issue create --title ")
    assert (tmp_path / "body.md").read_text() == "1 of 3 notebooks failed\nThe run: https://example.org/run\n"

    command[1] = tmp_path / "absent.md"
    subprocess.run(command, check=True)
    assert "before it had run" in (tmp_path / "body.md").read_text()
