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
//  - a failure during a save, a restart or a replay begins a new recovery from its first state (Daly's
//    semantics); with the `up` clock nothing fails in a restart;
//  - a planned stop waits for the end of the step (or of the recovery), saves, and lasts its duration;
//  - silent corruption is latent: found later, the run goes back to the last durable save before its onset,
//    unless an earlier rollback already did;
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
#include "sim/units.hpp"

namespace runcast {

// Steps as data. `with_lost[k-1]` is the time of one step (of the same global batch) with k replicas lost;
// left out, it is step_time x n/(n-k) / elastic overhead.
struct TrainingPhase {
  std::int64_t steps = 0;
  Seconds step_time;
  std::vector<Seconds> with_lost;
};
struct StepTimes {
  std::vector<TrainingPhase> phases;
};

// Where wall time goes, in the order of the JSON ledger.
enum class Bucket : std::uint8_t {
  useful,      // steps that were kept, at normal speed
  recomputed,  // steps done again after a failure
  checkpoint,  // training stopped for a save
  detect,      // the job is dead or hangs, nobody knows
  diagnose,
  wait_for_spare,
  restart,          // reschedule, processes, communicators, load, warm-up; elastic stalls and rejoins
  slow,             // excess of steps slowed by a fail-slow event
  elastic_deficit,  // excess of steps with replicas lost
  planned,
  sdc,  // steps done again after silent corruption
};
inline constexpr std::size_t kBuckets = 11;
inline constexpr std::array<std::string_view, kBuckets> kBucketNames{
    "useful",  "recomputed", "checkpoint",      "detect",  "diagnose", "wait_for_spare",
    "restart", "slow",       "elastic_deficit", "planned", "sdc"};
using Ledger = std::array<Duration, kBuckets>;

// A stretch of the run, for traces and tests: [begin, end) spent in `bucket`.
struct RunSpan {
  Time begin, end;
  Bucket bucket;
};

struct RunInput {
  StepTimes steps;
  JobScale scale;
  FailureModel failures;
  CheckpointPlan checkpoint;
  RecoveryPlan recovery;
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
  std::int64_t interruptions() const { return unplanned + planned; }
  Duration of(Bucket b) const { return ledger[static_cast<std::size_t>(b)]; }
  double goodput() const { return static_cast<double>(of(Bucket::useful).ns) / static_cast<double>(wall.ns); }
};

// Time of all steps at normal speed, without saves and failures. Zero steps give 0.
Duration ideal_time(const StepTimes& steps);

// Sentences that say why this run cannot be simulated (no steps, an interval that cannot be kept); empty when
// it can.
std::vector<std::string> problems(const RunInput& input);

// REQUIRES: problems(input) is empty. `spans` receives every stretch in order where it is not null.
RunResult simulate_run(const RunInput& input, std::uint64_t seed, std::uint64_t trial,
                       std::vector<RunSpan>* spans = nullptr);

}  // namespace runcast
