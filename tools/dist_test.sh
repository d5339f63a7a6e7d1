#!/usr/bin/env bash
# Usage: tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [arguments of test.py]
set -eu
exec bash "$(dirname "$0")/dist_run.sh" "$3" test.py "$1" "$2" "${@:4}"
