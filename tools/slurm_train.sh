#!/usr/bin/env bash
# Train with Slurm: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [flags of train.py]
# From the environment: GPUS (processes of all machines, 8), GPUS_PER_NODE (8), CPUS_PER_TASK (5), PORT (29500),
# SRUN_ARGS (more options of srun, such as --time=12:00:00).
set -euo pipefail
[ $# -ge 4 ] || { sed -n 2,4p "$0"; exit 2; }
GPUS=${GPUS:-8} GPUS_PER_NODE=${GPUS_PER_NODE:-8}
[ "$GPUS_PER_NODE" -le "$GPUS" ] || GPUS_PER_NODE=$GPUS
export MASTER_PORT="${PORT:-29500}"
# shellcheck disable=SC2086  # SRUN_ARGS are several words
exec srun --partition="$1" --job-name="$2" --gres="gpu:$GPUS_PER_NODE" --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/train.py" "$3" --work-dir "$4" --launcher slurm "${@:5}"
