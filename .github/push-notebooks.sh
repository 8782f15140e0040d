#!/usr/bin/env bash
# push-notebooks.sh FOLDER COMMIT: make FOLDER the tree of the branch `notebooks` and push it, saying what it was made from.
#
# The branch only ever grows by commits: nbgitpuller merges it into what readers have changed, and a forced push would
# leave their copies without a common ancestor. An unchanged tree makes no commit.
set -euo pipefail
folder=$(cd "$1" && pwd)
commit=$2
branch=notebooks
[ -n "$(find "$folder" -name '*.ipynb' -print -quit)" ] || { echo "There is no notebook in $folder" >&2; exit 1; }

export GIT_AUTHOR_NAME="github-actions[bot]" GIT_AUTHOR_EMAIL="github-actions[bot]@users.noreply.github.com"
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"

scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
repository=$(git rev-parse --absolute-git-dir)
GIT_INDEX_FILE="$scratch/index" git --git-dir="$repository" --work-tree="$folder" -C "$folder" add --all --force .
tree=$(GIT_INDEX_FILE="$scratch/index" git --git-dir="$repository" write-tree)

parent=()
status=0
git ls-remote --exit-code --heads origin "$branch" >/dev/null || status=$?
if [ "$status" = 0 ]; then
    git fetch --quiet --depth=1 origin "refs/heads/$branch"
    if [ "$(git rev-parse 'FETCH_HEAD^{tree}')" = "$tree" ]; then
        echo "The notebooks have not changed."
        exit 0
    fi
    parent=(-p "$(git rev-parse FETCH_HEAD)")
elif [ "$status" != 2 ]; then # 2: there is no such branch yet
    exit "$status"
fi
new=$(git commit-tree "$tree" "${parent[@]}" -m "Notebooks made from $commit")
git push --quiet origin "$new:refs/heads/$branch"
echo "The branch $branch is at $new."
