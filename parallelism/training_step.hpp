// One optimizer step: the pipeline schedule executed slot by slot on the event queue, with data-parallel
// collectives on a stream of their own beside it, then gradient norm and optimizer.
// Folded: one data-parallel replica and one tensor rank stand for all; the pipeline ranks are simulated.
//   step_work     passes, messages and data-parallel streams       step_account  the accounts of the rank that paces
//   gradient norm  a barrier before the optimizer; or none (post-validation): steps follow each other as
//                  parallelograms, whose period is the longest window of one rank         [Qi et al. 2023, sec. 4]
//   transfers cause idle time as far as the same pipeline with free transfers does not have it
// Leaves out: contention between different collectives on one link (network: flow); unequal ranks are unfolded_step's.
#pragma once

#include <string>
#include <vector>

#include "parallelism/pipeline_execution.hpp"
#include "parallelism/stage_cost.hpp"

namespace runcast {

struct StepInput {
  const Model* model = nullptr;
  const Layout* layout = nullptr;
  const TrainingSpec* training = nullptr;
  const ScheduleSpec* schedule = nullptr;
  const SoftwareProfile* profile = nullptr;
  const Network* network = nullptr;
  std::int64_t microbatches = 1;
  // Run the pipeline once more with free transfers, so that idle time is split into the schedule's own bubble and
  // what transfers cause. Without it the bubble holds all waiting that is not for a message on the wire.
  bool attribute_transfers = true;
  // Also keep when each collective of the data streams ran (StepResult::data_spans).
  bool keep_data_spans = false;
};

// Exclusive parts of the step on the rank that ends last; they sum to its time exactly.
struct StepBreakdown {
  Duration compute, tensor_exposed, context_exposed, expert_exposed, pipeline_exposed, data_exposed, bubble,
      optimizer, data_loading, other;
  Duration total() const;
};

struct CommunicationTotal {
  std::string group, collective;
  double count = 0;
  Bytes bytes_per_rank;
  Seconds time, exposed;
};

// When a pipeline rank's own step begins, ends its slots and its gradients, and how long its optimizer takes.
struct RankEnd {
  Time begin{}, slots{}, gradients{};
  Duration optimizer{};
  Duration window() const { return gradients + optimizer - begin; }
};

// A collective on the data stream, for timelines: one bucket of a stage's parameters or gradients.
struct DataSpan {
  enum class Kind { gather, reduce, tied };
  Kind kind = Kind::gather;
  int stage = 0, bucket = 0;
  Time start, end;
};

struct StepResult {
  Duration time;
  StepBreakdown breakdown;
  int last_rank = 0;             // the pipeline rank that ends last (post-validation: has the longest window)
  Duration ideal;                // m (F + B) of the mean rank: no bubble, no transfer
  double bubble_fraction = 0;    // bubble / step
  double bubble_over_ideal = 0;  // bubble / ideal
  double tokens = 0;             // of one step, all replicas
  double tokens_per_s_per_gpu = 0;
  Flops model_flops;  // of one step, all GPUs, `exact` convention
  FlopRate model_rate_per_gpu;
  double mfu = 0, hfu = 0;
  std::vector<CommunicationTotal> communication;
  PipelineTrace trace;
  std::vector<RankEnd> ends;  // [pipeline rank]
  std::vector<std::vector<DataSpan>> data_spans;  // [pipeline rank], as they were issued; empty unless asked for
  std::vector<std::string> assumptions;
};

StepResult simulate_step(const StepInput&);

// The time of the same step, to the nanosecond, without its accounts: for whoever asks for thousands. `program`: of
// the input's schedule. `costs`: by global stage.
class SlotProgram;
Duration step_time(const StepInput&, const SlotProgram& program, const GroupTable&,
                   const std::vector<StageCost>& costs);

// Optimizer of a rank that holds this, with the pass that takes the gradient norm before it; and the norm's sum over
// all ranks.
Seconds optimizer_time(const StepInput&, const RankParameters& held, int stage_copies);
Seconds norm_barrier(const StepInput&, const GroupTable&);

// Adds what a step has beside its slots and gradients: the fitted spread of a large job's ranks, and data loading.
void add_job_time(StepBreakdown&, const StepInput&);
// The result of another step time: rates and fractions are the breakdown's.
void retime(StepResult&);

// Compute of a fused slot is slowed by this share of the expert traffic that hides in it.
double fused_slowdown(const StepInput&, const GroupTable&);

}  // namespace runcast
