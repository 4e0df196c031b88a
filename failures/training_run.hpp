// One trial of a training run over weeks: progress, saves, failures, recovery, and a ledger that closes on
// wall time to the nanosecond. Jumps from event to event; equal save cycles between two events are one
// division.
//
//   TRAIN <-> SAVE;  TRAIN -> detect -> diagnose -> wait for spare -> restart phases -> replay -> TRAIN
//
// Time of the computation is counted in nanoseconds of normal step time ("work"); saves and planned stops are
// made at step boundaries, failures strike anywhere and lose the step they strike. Rules:
//  - a save counts from the instant it is durable (end of its block + persist), at a level that survives
//    the event;
//  - what ends at the instant of a failure did end;
//  - a failure restarts the state that it strikes: diagnosis or the wait for a spare begin again with one more
//    node to replace, beside what was left of them (a detection ends with the first that is noticed); a restart of processes that is struck is itself a failure, to be detected
//    (Daly's semantics, and what happens in a replay or a save); with the `up` clock nothing fails there;
//  - a planned stop waits for the end of the step (or of the recovery), saves, and lasts its duration;
//  - silent corruption is latent: found later, the run goes back to the last durable save before its onset,
//    unless an earlier rollback already did; a save that is not retained any more is gone;
//  - the run ends when its last save is durable.
// Leaves out: failures of idle spares, reconfiguration of the fabric, a queue before the first start.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "failures/checkpoint.hpp"
#include "failures/hazard.hpp"
#include "failures/recovery.hpp"
#include "failures/run_ledger.hpp"
#include "failures/straggler.hpp"
#include "sim/units.hpp"

namespace runcast {

// Steps as data. `with_lost[k-1]` is the time of one step (of the same global batch) with k replicas lost;
// left out, it is step_time x n/(n-k) / elastic overhead.
struct TrainingPhase {
  std::int64_t steps = 0;
  Seconds step_time;
  std::vector<Seconds> with_lost;
  std::int64_t nodes = 0;  // of the job's that take part; 0: all. The others neither fail nor stop the run
};
struct StepTimes {
  std::vector<TrainingPhase> phases;
};

// What else shapes a run besides failures.
struct RunConditions {
  double diurnal =
      0;  // throughput follows 1 + diurnal x sin(2 pi t / 24 h), hour by hour; LLaMA-3: 0.01-0.02
  Seconds evaluation_interval{0};  // work between two evaluation pauses; 0: none
  Seconds evaluation{0};           // length of a pause, booked as planned
  PersistentSlowdown straggler;    // of the whole run, booked as slow
};

struct RunInput {
  StepTimes steps;
  JobScale scale;
  FailureModel failures;
  CheckpointPlan checkpoint;
  RecoveryPlan recovery;
  RunConditions conditions;
  bool uncertain_rates = false;  // each trial has rates of its own, by FailureClass::observed
  // A fixed window of wall time, the last phase going on for ever; none: all steps, however long they take.
  std::optional<Seconds> window;
};

struct RunResult {
  Duration wall;
  Ledger ledger{};  // INVARIANT: sums to `wall`
  // false: given up, at 20 times the ideal time and 30 days more, or as soon as 10,000 events show that less than half
  // of the work would be saved by then
  bool finished = true;
  std::int64_t unplanned = 0, planned = 0;    // interruptions
  std::int64_t saves = 0;                     // at any level
  std::vector<std::int64_t> events_by_class;  // as drawn, also those that interrupted nothing
  std::vector<std::int64_t> interruptions_by_class;
  std::vector<Duration> lost_by_class;  // down time and work done again
  std::optional<Duration> first_failure;
  std::int64_t waits = 0;  // recoveries that waited for a node
  NodeFleet::Counts fleet;
  NodeTime nodes;
  std::int64_t interruptions() const { return unplanned + planned; }
  Duration of(Bucket b) const { return ledger[static_cast<std::size_t>(b)]; }
  double goodput() const { return static_cast<double>(of(Bucket::useful).ns) / static_cast<double>(wall.ns); }
};

// Time of all steps at normal speed, without saves and failures. Zero steps give 0.
Duration ideal_time(const StepTimes& steps);

// Sentences that say why this run cannot be simulated (no steps, an interval that cannot be kept); empty when
// it can.
std::vector<std::string> problems(const RunInput& input);

// REQUIRES: problems(input) is empty. `record` receives every stretch and event in order where it is not null.
RunResult simulate_run(const RunInput& input, std::uint64_t seed, std::uint64_t trial,
                       RunRecord* record = nullptr);

}  // namespace runcast
