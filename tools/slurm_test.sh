#!/usr/bin/env bash
# Usage: tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of test.py]
# GPUS and the like: see slurm_run.sh.
set -eu
exec bash "$(dirname "$0")/slurm_run.sh" "$1" "$2" test.py "${@:3}"
