// DualPipe and DualPipeV: a forward of one micro-batch runs interleaved with a backward of another, so that
// the expert all-to-all of each hides behind the other's computation (DeepSeek-V3 2024, sec. 3.2.1; the
// orders are those of its repository, github.com/deepseek-ai/DualPipe). Leaves out: what the overlap saves,
// which is a cost of the forward_backward slot.
#include <queue>

#include "parallelism/schedule_builders.hpp"

namespace runcast {
namespace {

// One rank of DualPipe or DualPipeV, the eight steps of its repository (deepseek-ai/DualPipe, dualpipe.py).
// The rank is the `position`-th of `depth` on the way in (0 = outermost); `outer` is the chunk whose forwards
// come in there, the other chunk's come back out. `microbatches` are those of one chunk.
void dualpipe_rank(RankOrder& order, int microbatches, int depth, int position, int outer) {
  const int inner = 1 - outer, rest = depth - position - 1;
  std::queue<int> weights;  // chunks whose weight gradients wait, oldest first
  const auto weight = [&] { order.weight_gradient(weights.front()), weights.pop(); };
  const auto split_backward = [&](int chunk) { order.input_gradient(chunk), weights.push(chunk); };
  const auto backward = [&](int chunk, bool split) { split ? split_backward(chunk) : order.backward(chunk); };

  for (int i = 0; i < 2 * rest; ++i) order.forward(outer);                               // 1
  for (int i = 0; i <= position; ++i) order.forward(outer), order.forward(inner);        // 2
  for (int i = 0; i < rest; ++i) split_backward(inner), weight(), order.forward(inner);  // 3
  for (int i = 0; i < microbatches - 2 * depth + position + 1; ++i) {  // 4, the steady state
    if (i == 0 && rest == 0) {  // apart, so that the first micro-batch gets through the turn sooner
      order.forward(outer), order.backward(inner);
    } else {
      order.forward_backward(outer, inner);
    }
    order.forward_backward(inner, outer);
  }
  for (int i = 0; i < rest; ++i) order.backward(inner), order.forward_backward(inner, outer);  // 5
  for (int i = 0; i <= position; ++i) {                                                        // 6
    const int half = (position + 1) / 2;
    backward(inner, position % 2 == 1 ? i >= half : i > half);
    backward(outer, i >= half);
  }
  for (int i = 0; i < rest; ++i) weight(), split_backward(outer);  // 7
  while (!weights.empty()) weight();                               // 8
}

}  // namespace

// Micro-batches enter at both ends (DeepSeek-V3 2024, sec. 3.2.1).
PipelineSchedule build_dualpipe(const ScheduleRequest& request) {
  PipelineSchedule schedule = bidirectional_placement(request);
  const int half = request.microbatches / 2, depth = request.ranks / 2;
  for (int rank = 0; rank < request.ranks; ++rank) {
    const int mirror = request.ranks - 1 - rank;
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = mirror, .forward = half, .backward = half, .weight = half});
    dualpipe_rank(order, half, depth, std::min(rank, mirror), rank < depth ? 0 : 1);
  }
  return schedule;
}

// DualPipe cut in half: one direction over a V of 2p stages (deepseek-ai/DualPipe, dualpipev.py).
PipelineSchedule build_dualpipe_v(const ScheduleRequest& request) {
  PipelineSchedule schedule = v_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = schedule.stages - 1 - rank});
    dualpipe_rank(order, request.microbatches, request.ranks, rank, 0);
  }
  return schedule;
}

}  // namespace runcast
