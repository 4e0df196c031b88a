#!/usr/bin/env bash
# gate_test.sh PROGRAM: the script of the GitHub Action on a repository made here: what passes, what is stopped and why,
# and what stands in the summary. Status 77 when there is no git.
# shellcheck disable=SC2016
set -euo pipefail

RUNCAST=$(realpath "$1")
export RUNCAST
gate=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../tools/action/gate")
command -v git >/dev/null || exit 77

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export HOME=$work GIT_CONFIG_NOSYSTEM=1
git init --quiet .
git config user.name test && git config user.email test@localhost

# check NAME STATUS VARIABLE=VALUE...: runs the gate; its summary is $work/NAME.summary, its output $work/NAME.output.
check() {
  local name=$1 expected=$2 code=0
  shift 2
  env GITHUB_STEP_SUMMARY="$work/$name.summary" TRIALS=20 "$@" "$gate" >"$work/$name.output" 2>&1 || code=$?
  if [ "$code" -ne "$expected" ]; then
    echo "$name: status $code, not $expected" >&2
    cat "$work/$name.output" >&2
    exit 1
  fi
}

# holds FILE TEXT
holds() {
  if ! grep -qF -- "$2" "$work/$1"; then
    echo "$1 does not have: $2" >&2
    cat "$work/$1" >&2
    exit 1
  fi
}

mkdir runs
cat >"runs/small.yaml" <<'YAML'
model: llama3-8b
cluster: {node: hgx-h100, nodes: 1}
layout: {tensor: 2}
training: {tokens: 10B, sequence_length: 8192, global_batch: 128}
YAML
git add runs && git commit --quiet -m base
base=$(git rev-parse HEAD)

# Nothing changed: passes, and says that nothing differs.
check same 0 SCENARIOS='runs/*.yaml' BASE="$base" CLAIMS='step.mfu > 0.1'
holds same.summary 'Nothing differs from the base.'
[ "$(git worktree list | wc -l)" -eq 1 ]

# The micro-batch changed: compared with the base; a claim that does not hold stops it, at its file.
sed -i 's/global_batch: 128/global_batch: 128, micro_batch: 2/' runs/small.yaml
cp runs/small.yaml "runs/name with blanks.yaml"
check changed 1 SCENARIOS='runs/*.yaml' BASE="$base" CLAIMS=$'step.mfu > 0.1\nstep.mfu > 0.9\n'
holds changed.summary 'training.micro_batch'
holds changed.summary 'New: the base has no such file.'
holds changed.summary '`runs/name with blanks.yaml`'
holds changed.summary 'assertion failed: step.mfu > 0.9'
holds changed.output '::error file=runs/small.yaml::the model says no. assertion failed: step.mfu > 0.9'

# From a folder below the root the base has the same files; they are called by where they come from.
(cd runs && check below 0 SCENARIOS=small.yaml BASE="$base" LIBRARY=.)
holds below.summary 'training.micro_batch'
holds below.summary 'base/small.yaml'

# Does not fit: the model says no without any claim.
sed 's/8b/405b/; s/, micro_batch: 2//' runs/small.yaml >large.yaml
check large 1 SCENARIOS=large.yaml
holds large.summary 'does not fit'

# A mistake is annotated at its line and column; the other scenarios are simulated all the same.
sed 's/tensor: 2/tensr: 2/' runs/small.yaml >runs/a-mistake.yaml
check mistake 2 SCENARIOS=$'runs/a-mistake.yaml\nruns/small.yaml'
holds mistake.output '::error file=runs/a-mistake.yaml,line=3,col=10::unknown key'
holds mistake.summary '`runs/small.yaml`'

# Advice that is severe enough stops it: two slow workers a GPU starve the step.
sed 's/micro_batch: 2/micro_batch: 2, data_loading: {workers_per_gpu: 2, time_per_sample: 5 s}/' runs/small.yaml >starved.yaml
check advice 1 SCENARIOS=starved.yaml FAIL_ON=high
holds advice.summary 'Advice at least as severe as `high`'

# A pattern without a file, a base that is not there, no scenario at all.
check pattern 2 SCENARIOS='nowhere/*.yaml'
holds pattern.output "no scenario matches 'nowhere/*.yaml'"
check no-base 2 SCENARIOS=runs/small.yaml BASE=0123456789012345678901234567890123456789
holds no-base.output 'fetch-depth: 0'
check nothing 2 SCENARIOS=
echo "the gate holds"
