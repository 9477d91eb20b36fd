# shellcheck shell=bash
# What every part of `.ci` begins with; it is sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export CARGO_TERM_COLOR=never INSTA_UPDATE=no CI=true
unset NO_COLOR || true

step() { printf '\n== %s\n' "$*"; }
