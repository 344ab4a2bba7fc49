# Counts to $STEPS. After each fifth step rank 0 writes a folder and commits it: from then on it is a checkpoint, whole.
# After an interruption the next run is told the newest one.
set -eu
rank=${SKYPILOT_NODE_RANK:-0}
nodes=${SKYPILOT_NUM_NODES:-1}
step=0
if [ -n "${ARGOSY_RESUME_FROM:-}" ]; then step=$(cat "$ARGOSY_RESUME_FROM/step"); fi
echo "rank $rank of $nodes starts at step $step of $STEPS"
while [ "$step" -lt "$STEPS" ]; do
  step=$((step + 1))
  sleep 0.05
  if [ "$rank" = 0 ] && [ $((step % 5)) = 0 ]; then
    folder=$ARGOSY_CHECKPOINT/step-$step
    mkdir -p "$folder"
    echo "$step" > "$folder/step"
    "$ARGOSY_COMMIT" "$folder" > /dev/null
    echo "checkpoint at step $step"
  fi
done
echo "rank $rank is done"
