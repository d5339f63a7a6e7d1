#!/usr/bin/env bash
# Usage: tools/dist_train.sh CONFIG PROCESSES [arguments of train.py]
set -eu
exec bash "$(dirname "$0")/dist_run.sh" "$2" train.py "$1" "${@:3}"
