#!/usr/bin/env bash
# report-issue.sh REPORT RUN: open an issue with the text of REPORT and a link to RUN, or add both to the one that is open.
#
# There is at most one open issue: the label finds it.
set -euo pipefail
report=$1
run=$2
label=colab

body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
    if [ -s "$report" ]; then cat "$report"; else echo "The check ended before it had run the notebooks."; fi
    printf '\nThe run: %s\n' "$run"
} >"$body"

gh label create "$label" --force --color f9ab00 --description "A notebook fails in Colab's image"
open=$(gh issue list --state open --label "$label" --limit 1 --json number --jq '.[0].number // empty')
if [ -n "$open" ]; then
    gh issue comment "$open" --body-file "$body"
else
    gh issue create --title "A notebook fails in Colab's image" --label "$label" --body-file "$body"
fi
