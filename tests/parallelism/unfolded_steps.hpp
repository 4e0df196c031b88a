// An unfolded step of a StepCase for tests.
#pragma once

#include "parallelism/unfolded_step.hpp"
#include "tests/parallelism/steps.hpp"

namespace runcast {

// Calls f(StepInput) with everything that the case's input points to.
template <class Function>
auto with_input(const StepCase& c, Function f) {
  const Fabric built(c.node, c.nodes(), c.fabric);
  const Network network(built, packed_placement(c.layout.world()));
  TrainingSpec t = c.training;
  t.global_batch = c.microbatches * t.micro_batch * c.layout.data;
  const ScheduleSpec s = c.spec();
  StepInput in;
  in.model = &c.model;
  in.layout = &c.layout;
  in.training = &t;
  in.schedule = &s;
  in.profile = &c.profile;
  in.network = &network;
  in.microbatches = c.microbatches;
  return f(in);
}

inline UnfoldedResult unfold(const StepCase& c, const RankConditions& conditions = {},
                             bool explained = false) {
  return with_input(c, [&](const StepInput& in) { return simulate_unfolded(in, conditions, 1, explained); });
}

// All ranks nominal but one.
inline RankConditions one_slow(const StepCase& c, RankId rank, double factor) {
  RankConditions conditions;
  conditions.gpu.assign(static_cast<std::size_t>(c.layout.world()), 1);
  conditions.host = conditions.gpu;
  conditions.gpu[static_cast<std::size_t>(rank.value)] = factor;
  return conditions;
}

}  // namespace runcast
