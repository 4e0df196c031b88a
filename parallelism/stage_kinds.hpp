// Stages that are alike: they hold equal lists of layers, and the same ends of the model. What one of them costs,
// holds and sends, all of its kind do, so that it is worked out once: a pipeline of 128 stages has three kinds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "parallelism/model.hpp"

namespace runcast {

struct StageKinds {
  std::vector<int> of_stage;  // [global stage]
  std::vector<int> example;   // [kind] the first stage of that kind
};
StageKinds stage_kinds(const Model&, std::span<const std::int64_t> stage_layers);

}  // namespace runcast
