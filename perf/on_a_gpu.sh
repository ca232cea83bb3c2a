#!/usr/bin/env bash
# What is to be seen on a GPU, within a quarter of an hour: bash perf/on_a_gpu.sh DATA OUT
#
# DATA is a data directory that holds MNIST, OUT an empty folder for reports, records and this script's own log. Each
# step has a time limit of its own and the next one is made whatever became of it; the most telling ones come first.
set -u
data=${1:?the data directory}
out=${2:?the folder for what is found}
mkdir -p "$out"
cell="mnist-upright --entry p4cnn@28 --device cuda --data $data"

step() { # NAME SECONDS COMMAND...: one line of result in the log, all that it prints in a file of its own
  local name=$1 limit=$2 start=$SECONDS
  shift 2
  timeout "$limit" "$@" >"$out/$name.txt" 2>&1
  echo "$name: exit $?, $((SECONDS - start)) s" | tee -a "$out/log.txt"
}

# 1. Do recorded steps have the bits of steps as they are, and several side by side those of each alone? Every layer,
#    recipe and a whole cell.
step same-bits 150 python -m pytest -n 0 -m gpu --gpu-required -q \
  tests/training/test_capture.py tests/training/test_side_by_side.py tests/runs/test_cells.py

# 2. One P4CNN of the MNIST study, forecast, then as it is and recorded: seconds, and the two records side by side.
# shellcheck disable=SC2086
{
  step forecast 40 gcnnbench run $cell --seeds 0 --dry-run --results "$out/plain"
  step cell-plain 90 gcnnbench run $cell --seeds 0 --results "$out/plain"
  step cell-recorded 75 gcnnbench run $cell --seeds 0 --results "$out/recorded" --cuda-graphs
}
step cells-compared 20 gcnnbench compare mnist-upright --results "$out/recorded" --against "$out/plain"

# 3. Floor, e2cnn, FLOP/s, share of the peak, plain and recorded steps, seeds at once, and whole cells against a bare loop;
#    and where a step's time goes. The goals on a GPU that are missed stand at the foot of the first.
step perf 230 gcnnbench perf training evaluation cell seeds --device cuda --seconds 4 --save "$out/perf.json"
step anatomy 35 gcnnbench perf anatomy --device cuda --save "$out/anatomy.json"

# 4. Seven cells that share the device, in processes of their own and side by side in one: seconds a cell, amortised, and
#    the records, which are the same. The aims: 15 s of a cell alone (above), 8 s of one of several.
# shellcheck disable=SC2086
{
  step seven-at-once 120 gcnnbench run $cell --seeds 1-7 --jobs 7 --results "$out/recorded" --cuda-graphs
  step seven-side-by-side 120 gcnnbench run $cell --seeds 1-7 --parallel 7 --results "$out/side-by-side" --cuda-graphs
}
step seven-compared 20 gcnnbench compare mnist-upright --results "$out/side-by-side" --against "$out/recorded"

cat "$out/log.txt"
