#!/usr/bin/env bash
# Runs that need more time than .ci/run has, each bounded. Run them before a release, and where a change touches what they try.
#
# usage: tests/long.sh            everything
#        tests/long.sh NAME ...   some: functions below
set -euo pipefail
cd "$(dirname "$0")/.."

# The functions as cargo-lambda builds them, deployed; .ci/run deploys those that its tests were built with.
lambda() { tests/deployed.sh; }
# Ten thousand interleavings of requests, with crashes and retries.
interleave() { HOLDFAST_ROUNDS=250 cargo test --workspace --test system interleave; }
# 200 writers on one record, value, parent and counter.
contend() { HOLDFAST_WRITERS=200 cargo test --workspace --test system contend; }
# Random models, callers and requests against the oracle of access.
oracle() { HOLDFAST_ORACLE_CASES=1000 cargo test --workspace --test system oracle; }
# Ten thousand random chains of models over random records and writes, with migrations that die.
evolution() { HOLDFAST_EVOLUTIONS=10000 cargo test --workspace --test system models_that_change_at_random; }
# `holdfast migrate` of 100,000 records beside writers, killed halfway: time, memory, units, and nobody is told to wait.
migration() { HOLDFAST_MIGRATED=100000 cargo test --workspace --test system evolution::large -- --nocapture; }
# A history of 100,000 operations: writers that die, late requests, ten shared parents.
history() { HOLDFAST_HISTORY=100000 cargo test --workspace --test system a_history_of_operations -- --nocapture; }
# 64 writers on one entity and on one parent, before protocol 2 and with it.
contended() { cargo bench --workspace --bench contended; }
# `verify` of a million records within its memory.
memory() { HOLDFAST_RECORDS=1000000 cargo test --workspace --test memory -- --nocapture; }
# A consumer at 50 times its limit, and what another one gets.
neighbour() { cargo bench --workspace --bench neighbour; }

all=(lambda interleave contend oracle evolution migration history contended memory neighbour)
[ $# -gt 0 ] || set -- "${all[@]}"
for name; do
  [[ " ${all[*]} " == *" $name "* ]] || { echo "no run is called $name; there are ${all[*]}"; exit 2; }
done
for name; do
  start=$SECONDS
  printf '\n==== %s\n' "$name"
  "$name"
  printf '==== %s: %s s\n' "$name" $((SECONDS - start))
done
