#!/usr/bin/env bash
# Usage: tools/slurm_train.sh PARTITION JOB_NAME CONFIG [arguments of train.py]
# GPUS and the like: see slurm_run.sh.
set -eu
exec bash "$(dirname "$0")/slurm_run.sh" "$1" "$2" train.py "${@:3}"
