// One optimizer step with every rank of the job on its own clock, with its own slowdown and its own links. On a
// symmetric cluster it is the folded step (training_step) to the nanosecond; where ranks or links differ it says who
// waited for whom.
//   costs       step_work's passes, messages and data-parallel traffic, for each rank with its conditions
//   own time    kernels take `gpu` times as long; the host's part is that of the slower of GPU and host (stage_cost)
//   own links   each group and each pair of ranks is priced over the links that it has
// Leaves out: slow optimizers (they are bound by HBM, which throttling leaves alone), transfers that contend.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallelism/critical_path.hpp"
#include "parallelism/training_step.hpp"
#include "parallelism/unfolded_execution.hpp"
#include "parallelism/unfolded_faults.hpp"

namespace runcast {

// The plan with what it points to; not to be moved after `plan` is filled.
struct UnfoldedModel {
  PipelineSchedule schedule;
  UnfoldedPlan plan;
  std::vector<RankId> ranks;  // [pipeline rank * members + member]
};

// `free_transfers`: messages take no time, for the bubble that the schedule alone has.
void plan_unfolded(const StepInput&, const RankConditions&, std::uint64_t seed, bool free_transfers,
                   UnfoldedModel&);

// Waiting of one kind, over the ranks that waited more than a microsecond.
struct WaitSummary {
  std::string for_whom;
  std::int64_t ranks = 0;
  Duration mean{}, longest{};
};

// What a cause has of the critical path, and what making it cheaper would give.
struct CauseShare {
  PathCause cause = PathCause::compute;
  Duration time{};
  double share = 0;             // of the step
  double saved_per_second = 0;  // of the step, for each second that the cause has less on the path
};

// A stay of the critical path at one rank, and over what the path came there.
struct UnfoldedVisit {
  RankId rank;
  PathVisit::Over over = PathVisit::Over::start;
  Time from, to;
  Duration slowdown{};
};

struct UnfoldedResult {
  StepResult step;       // of the rank that ends last; `trace` is the folded one's
  RankId last{};         // the rank that ends last
  Duration symmetric{};  // the step without faults
  std::int64_t ranks = 0, rank_events = 0, queue_events = 0;
  std::vector<WaitSummary> waits;
  RankId waited_for{};  // whose gradients came last in the longest wait of the reductions; -1: nobody waited
  RankId slowest{};     // whose slowdown is longest on the critical path; -1: none is on it
  Duration slowest_adds{};
  std::vector<CauseShare> causes;  // by time, largest first
  std::vector<UnfoldedVisit> visits;  // the path, rank by rank, in time order
};

// `explain`: also the critical path and what each cause would save (a simulation each).
UnfoldedResult simulate_unfolded(const StepInput&, const RankConditions&, std::uint64_t seed, bool explain);

}  // namespace runcast
