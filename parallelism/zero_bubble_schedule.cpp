// Zero-bubble schedules: the backward is split into input gradient I, which the previous stage waits for, and
// weight gradient W, which nobody waits for and which fills the bubble (Qi et al. 2023; ZB-V: Qi et al.
// 2024). These are the fixed orders for F = I = W. Leaves out: orders searched for given costs, V-Half and
// V-Min.
#include "parallelism/schedule_builders.hpp"

namespace runcast {
namespace {

// `warm_up` F, then for each micro-batch I, the W of `delay` micro-batches before, F; the rest of W last.
void zero_bubble_rank(RankOrder& order, int microbatches, int warm_up, int delay) {
  for (int i = 0; i < std::min(warm_up, microbatches); ++i) order.forward();
  for (int i = 0; i < microbatches; ++i) {
    order.input_gradient();
    if (i >= delay) order.weight_gradient();
    if (i + warm_up < microbatches) order.forward();
  }
  while (order.chunk(0).weight < microbatches) order.weight_gradient();
}

}  // namespace

// The memory of 1F1B (Qi et al. 2023, fig. 3, top).
PipelineSchedule build_zb_h1(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    zero_bubble_rank(order, request.microbatches, request.ranks - rank, rank);
  }
  return schedule;
}

// No idle time inside a rank, for twice the memory of 1F1B (Qi et al. 2023, fig. 3, bottom).
PipelineSchedule build_zb_h2(const ScheduleRequest& request) {
  PipelineSchedule schedule = looped_placement(request);
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank});
    zero_bubble_rank(order, request.microbatches, 2 * (request.ranks - rank) - 1, 2 * rank);
  }
  return schedule;
}

// Chunk 0 goes down the V, chunk 1 back up. F, I and W of one size fill every rank (Qi et al. 2024).
PipelineSchedule build_zb_v(const ScheduleRequest& request) {
  PipelineSchedule schedule = v_placement(request);
  const int m = request.microbatches;
  for (int rank = 0; rank < request.ranks; ++rank) {
    RankOrder order(schedule.slots[static_cast<std::size_t>(rank)], {.stage = rank},
                    {.stage = schedule.stages - 1 - rank});
    const auto gradients = [&](int chunk) { order.input_gradient(chunk), order.weight_gradient(chunk); };
    for (int i = 0; i < 2 * (request.ranks - rank) - 1; ++i) order.forward(0);
    for (int i = 0; i < rank; ++i) order.forward(1), order.forward(0);
    for (int i = 0; i < request.ranks - rank; ++i) order.forward(1), gradients(1);
    while (order.chunk(1).forward < m) {  // the steady state
      if (order.chunk(0).forward < m) order.forward(0);
      gradients(0);
      order.forward(1);
      gradients(1);
    }
    for (int i = 0; i < rank; ++i) order.input_gradient(0), order.input_gradient(1);
    for (int i = 0; i < request.ranks - rank; ++i) gradients(0);
    while (order.chunk(1).weight < m) order.weight_gradient(1);
    while (order.chunk(0).weight < m) order.weight_gradient(0);
  }
  return schedule;
}

}  // namespace runcast
