#!/usr/bin/env bash
# run-notebooks.sh FOLDER REPORT COMMAND...: run COMMAND with the path of each notebook in FOLDER, one after the other.
#
# REPORT names in Markdown the notebooks for which COMMAND failed, each with the end of what it printed. The exit status
# is 1 if there is one, and 2 if there is no notebook at all.
set -euo pipefail
folder=$1
report=$2
shift 2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
count=0
failed=()
details=""
while IFS= read -r notebook; do
    count=$((count + 1))
    echo "== $notebook"
    if ! "$@" "$notebook" >"$log" 2>&1 </dev/null; then
        failed+=("$notebook")
        tail -n 40 "$log"
        details+=$(printf '\n\n<details><summary>%s</summary>\n\n~~~~\n%s\n~~~~\n\n</details>' \
            "$notebook" "$(tail -n 40 "$log" | sed 's/\x1b\[[0-9;]*m//g' | cut -c 1-400)")
    fi
done < <(cd "$folder" && find . -name '*.ipynb' -not -path '*/.ipynb_checkpoints/*' | sed 's|^\./||' | LC_ALL=C sort)

if [ "$count" = 0 ]; then
    echo "There is no notebook in $folder." | tee "$report"
    exit 2
fi
if [ "${#failed[@]}" = 0 ]; then
    echo "All $count notebooks ran from their first cell to their last." | tee "$report"
    exit 0
fi
{
    echo "${#failed[@]} of $count notebooks failed:"
    printf '\n- `%s`' "${failed[@]}"
    printf '%s\n' "$details"
} >"$report"
echo "${#failed[@]} of $count notebooks failed: ${failed[*]}"
exit 1
