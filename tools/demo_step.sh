#!/usr/bin/env bash
# Print which step of make demo begins, and about how long the rest will take.
# Usage: demo_step.sh FOLDER NUMBER TEXT; FOLDER is the work dir of the demo.
set -euo pipefail
# Percent of the whole time, by the log of a demo on two cores; the time so far gives the rest.
shares=(5 24 2 64 4 1)
folder=$1 number=$2 text=$3
mkdir -p "$folder"
[ "$number" -gt 1 ] && [ -e "$folder/.started" ] || date +%s > "$folder/.started"
elapsed=$(($(date +%s) - $(cat "$folder/.started")))
done_share=0
for share in "${shares[@]:0:number-1}"; do done_share=$((done_share + share)); done
if [ "$done_share" -gt 0 ]; then
    left=$((elapsed * (100 - done_share) / done_share))
    echo "step $number of ${#shares[@]}: $text ($((elapsed / 60)) min $((elapsed % 60)) s so far, about $(((left + 59) / 60)) min left)"
else
    echo "step $number of ${#shares[@]}: $text"
fi
