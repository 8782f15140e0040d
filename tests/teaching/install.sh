#!/bin/sh
# Have bubblewrap for the tests of the grader: it keeps students' code away from the machine. Without it they fail and say so.
works() { bwrap --unshare-all --ro-bind / / true >/dev/null 2>&1; }
works && exit 0
if [ "$(uname)" != Linux ]; then
    echo "bubblewrap is for Linux; the tests of the grader will say so."
    exit 0
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo -n"
if ! command -v bwrap >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    echo "Installing bubblewrap with apt-get for the tests of the grader ..."
    export DEBIAN_FRONTEND=noninteractive
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends bubblewrap; } >/dev/null
fi
# Ubuntu 24.04 keeps programs from making user namespaces; a machine of CI's own may allow it.
works || { [ -n "$CI" ] && $as_root sysctl -qw kernel.apparmor_restrict_unprivileged_userns=0 2>/dev/null; }
works || echo "bubblewrap does not work here; the tests of the grader will say what to do."
exit 0
