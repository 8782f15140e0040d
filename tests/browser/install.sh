#!/bin/sh
# Have a browser for the browser tests: the system's Chromium, else Debian's as root, else playwright's own download.
# Without one the tests say so themselves: skipped on a person's machine, failed in CI.
python=$1
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null 2>&1 && exit 0
done
"$python" -c 'import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as p: sys.exit(not os.path.exists(p.chromium.executable_path))' >/dev/null 2>&1 && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing chromium with apt-get for the browser tests ..."
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; } >/dev/null && exit 0
else
    echo "Downloading playwright's Chromium for the browser tests ..."
    "$python" -m playwright install chromium >/dev/null && exit 0
fi
echo "No browser could be installed; the browser tests will say what to do."
exit 0
