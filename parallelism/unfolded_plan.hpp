// What every rank of a step does, in clock time: the input of unfolded_execution. A pipeline rank p has `members`
// ranks, one for each (tensor, context, data) coordinate. Members that meet in collectives within a pass (tensor
// and context groups, expert groups, the data group of ZeRO-3) form a cell; all cells of a pipeline rank have the
// same size, and members are numbered cell by cell, the same way on each pipeline rank. The slots of a pipeline
// rank are the schedule's, shared by its members; only times are theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "parallelism/pipeline_execution.hpp"
#include "parallelism/pipeline_schedule.hpp"
#include "sim/units.hpp"

namespace runcast {

// One kind of slot on one pipeline rank.
struct UnfoldedPass {
  Duration compute, host;  // nominal; each rank's own
  Duration tensor, context, expert,
      data;                       // nominal; collectives inside the pass, which the cell does together
  std::int64_t collectives = 0;   // how often members meet
  std::vector<Duration> own;      // [member] compute + host with its slowdowns; empty: nominal
  std::vector<Duration> traffic;  // [cell] collectives over its links; empty: nominal
  Duration nominal_own() const { return compute + host; }
  Duration nominal_traffic() const { return tensor + context + expert + data; }
};

struct UnfoldedLink {  // from one pipeline rank to another, for the same member
  Duration nominal;
  std::vector<Duration> of_member;  // empty: nominal
};

// Data-parallel traffic of one stage on one pipeline rank; by tensor coordinate, each of which is a group of its own.
struct UnfoldedData {
  int buckets = 1;
  std::vector<Duration> reduce;              // whole; empty: nothing to reduce
  std::vector<Time> first_bucket, gathered;  // of the parameters; empty: at once
};

struct UnfoldedPlan {
  const PipelineSchedule* schedule = nullptr;
  PointToPoint point_to_point = PointToPoint::overlapped;
  int members = 1, cells = 1;           // of each pipeline rank
  int tensor = 1;                       // tensor coordinates
  std::vector<std::int16_t> tensor_of;  // [member]
  std::vector<UnfoldedPass> passes;
  std::vector<std::vector<std::uint32_t>> pass_of;  // [pipeline rank][slot]
  std::vector<UnfoldedLink> links;                  // [from * pipeline ranks + to]
  std::vector<std::vector<UnfoldedData>> data;      // [pipeline rank][stage]
  std::vector<std::vector<Time>> stream_free;       // [pipeline rank][tensor]: after the opening gathers
  bool overlap_data = true;                         // reductions run beside the passes
  bool holds_gradients =
      false;                   // ZeRO-2: reduced every `group` micro-batches; the next backward waits for it
  bool inside_passes = false;  // ZeRO-3: nothing of it is left for the end
  std::int64_t group = 1;
  int copies = 1;               // pipeline ranks that hold a stage (DualPipe: 2); they are one group
  double overlap_slowdown = 0;  // of compute beside a collective of the data stream
  Duration tied{};              // all-reduce of tied embeddings between first and last stage; 0: none
  int tied_first = 0, tied_last = 0;
  // Each stretch of kernels between two collectives takes 1 + noise of its time: lognormal, mean 1, this deviation.
  double jitter = 0;
  std::uint64_t seed = 1;
};

}  // namespace runcast
