#!/usr/bin/env bash
# Test on several GPUs of one or more machines: tools/dist_test.sh CONFIG CHECKPOINT GPUS [flags of test.py]
# NNODES, NODE_RANK, MASTER_ADDR and PORT are read from the environment.
set -euo pipefail
[ $# -ge 3 ] || { sed -n 2,3p "$0"; exit 2; }
python -m torch.distributed.run --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" --nproc_per_node="$3" \
    "$(dirname "$0")/test.py" "$1" "$2" --launcher pytorch "${@:4}"
