#!/usr/bin/env bash
# Usage: tools/dist_run.sh PROCESSES TOOL [arguments of the tool]
# One process per GPU; without a GPU, processes share the CPU (gloo).
set -eu
python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$1" \
    "$(dirname "$0")/$2" --launcher pytorch "${@:3}"
