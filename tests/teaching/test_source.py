"""The reader of chapter source: nothing is lost, and nothing unknown passes."""

import pytest

from teaching.source import SourceError, parse

CHAPTER = """---
kernelspec: {name: python3}
---

(ch-x)=
# Title with {ref}`ch-x` and `{code}` in a span

````{admonition} Outer
:class: predict

```{note}
Inner with {eq}`eq-x`.
```
````

```{code-cell} ipython3
---
tags: [setup, hide-input]
mystnb: {image: {alt: something}}
---
import math
```

:::{tip}
A colon fence.
:::

```python
shown = "{not_a_role}`x`"
```
"""


def test_joined_blocks_are_the_text_again():
    assert "\n".join(line for block in parse(CHAPTER, "x.md") for line in block.lines) + "\n" == CHAPTER


def test_blocks_know_their_kind_options_and_children():
    blocks = [block for block in parse(CHAPTER, "x.md") if block.kind != "text"]
    assert [block.name for block in blocks] == ["", "admonition", "code-cell", "tip", "python"]
    assert blocks[1].classes == ("predict",)
    assert [child.name for child in blocks[1].walk()] == ["admonition", "", "note", ""]
    assert blocks[2].tags == ("setup", "hide-input")
    assert blocks[2].body == ("import math",)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n\n```{exercize} x\n```\n", 3, "unknown directive `{exercize}`"),
        ("```{code-cell} ipython3\n:tags: [hidden_test]\nx = 1\n```\n", 1, "unknown cell tag `hidden_test`"),
        ("```{code-cell} ipython3\n---\ntags: [anwser]\n---\n```\n", 1, "unknown cell tag `anwser`"),
        ("one\ntwo {reff}`ch-x`\n", 2, "unknown role `{reff}`"),
        ("{ref}`a` and {reff}`b`\n", 1, "unknown role `{reff}`"),
        ("one {reff}`spans\nlines` x\n", 1, "unknown role `{reff}`"),
        ("````{note}\nfine\n\n```{exercize} x\n```\n````\n", 4, "unknown directive `{exercize}`"),
        ("```{note}\n{reff}`x`\n```\n", 2, "unknown role `{reff}`"),
        ("x\n```{note}\nnever closed\n", 2, "never closed"),
        ("---\ntitle: x\n", 1, "no closing"),
        ('text\n\n+++ {"tags": ["hidden-test"]}\n', 3, "no metadata"),
        ("```{code-cell} ipython3\n---\ntags: [setup\n---\n```\n", 2, "not YAML"),
    ],
)
def test_what_the_book_does_not_have_is_refused_with_file_and_line(text, line, message):
    with pytest.raises(SourceError) as caught:
        parse(text, "book/x.md")
    assert str(caught.value).startswith(f"book/x.md:{line}: ")
    assert message in str(caught.value)
