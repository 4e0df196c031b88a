// Who waited for whom: the chain of work without a gap that ends when the step's last gradients are reduced. It is
// found backwards from the times of an unfolded execution: the end of a slot leads to the member of the cell that
// came last to the first collective, its start to what came last of its own previous slot, its message and its data
// stream, a reduction to the replica whose gradients came last. The segments are as long as the step, so that their
// shares by cause add up to it.
// Where several came at the same moment the rank itself is taken first, then its message, then its data stream.
#pragma once

#include <string_view>
#include <vector>

#include "parallelism/unfolded_execution.hpp"

namespace runcast {

enum class PathCause {
  compute,   // kernels at nominal speed
  slowdown,  // what slow GPUs, slow hosts and jitter add to them
  tensor,    // collectives inside passes, by group
  context,
  expert,
  data,       // gradient reductions, parameter gathers, and what slots lose beside them
  transfer,   // messages between pipeline ranks
  host,       // kernels that the host issues too slowly
  optimizer,  // with gradient norm
  other,      // fixed time of a step, fitted spread of ranks, data loading
};
inline constexpr int kPathCauses = 10;
std::string_view name_of(PathCause);

struct PathSegment {
  PathCause cause;
  int rank, member;  // a transfer or a reduction is its receiver's
  Time from, to;
};

// A stay of the path at one rank, and over what it came there.
struct PathVisit {
  enum class Over { start, message, cell, reduction };
  int rank = 0, member = 0;
  Over over = Over::start;
  Time from, to;
  Duration slowdown{};  // of it
};
std::string_view name_of(PathVisit::Over);

struct CriticalPath {
  std::vector<PathSegment> segments;  // in time order, without gaps from 0 to the end
  std::vector<PathVisit> visits;
  Duration by_cause(PathCause) const;
};

// Up to the reduced gradients of that rank. INVARIANT: the segments are without a gap.
CriticalPath critical_path(const UnfoldedPlan&, const UnfoldedTrace&, int rank, int member);

// The plan with one cause taking `factor` of its time. `optimizer` and `other` are not in it.
UnfoldedPlan with_cause_scaled(const UnfoldedPlan&, PathCause, double factor);

}  // namespace runcast
