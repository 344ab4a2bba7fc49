# Counts to $STEPS. After each fifth step rank 0 writes the step into a file and renames it: a checkpoint is whole or
# not there.
set -eu
rank=${SKYPILOT_NODE_RANK:-0}
nodes=${SKYPILOT_NUM_NODES:-1}
mkdir -p "$CHECKPOINTS"
newest=$(ls "$CHECKPOINTS" | sed -n 's/^step-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
step=${newest:-0}
echo "rank $rank of $nodes starts at step $step of $STEPS"
while [ "$step" -lt "$STEPS" ]; do
  step=$((step + 1))
  sleep 0.05
  if [ "$rank" = 0 ] && [ $((step % 5)) = 0 ]; then
    echo "$step" > "$CHECKPOINTS/.step-$step.part"
    mv "$CHECKPOINTS/.step-$step.part" "$CHECKPOINTS/step-$step"
    echo "checkpoint at step $step"
  fi
done
echo "rank $rank is done"
