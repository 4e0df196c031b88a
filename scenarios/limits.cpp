// Sizes by products in double: they cannot overflow.
#include "scenarios/limits.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace runcast {

Limits read_limits(Section root) {
  Limits limits;
  if (!root.has("limits")) return limits;
  Section s = root.section("limits");
  limits.microbatches = s.count("microbatches", limits.microbatches);
  limits.unfolded_slots = s.count("unfolded_slots", limits.unfolded_slots);
  limits.fabric_gpus = s.count("fabric_gpus", limits.fabric_gpus);
  limits.flow_gpus = s.count("flow_gpus", limits.flow_gpus);
  return limits;
}

std::string too_many_clocks(const Scenario& s, const Limits& limits) {
  const int chunks = std::max(1, s.schedule.virtual_stages);
  // Network, memory and critical path of a rank cost as much as some 200 slots.
  const double slots =
      static_cast<double>(s.layout.world()) * std::max(200.0, static_cast<double>(s.microbatches) * chunks);
  if (slots <= static_cast<double>(limits.unfolded_slots)) return "";
  return fmt::format(
      "{} ranks x {} micro-batches x {} virtual stages, each on its own clock, are more than "
      "limits.unfolded_slots {}; "
      "--set limits.unfolded_slots={:.0f} simulates them",
      s.layout.world(), s.microbatches, chunks, limits.unfolded_slots, slots);
}

std::string too_large_fabric(const Scenario& s, const Limits& limits) {
  if (s.gpus() <= limits.fabric_gpus) return "";
  return fmt::format(
      "{0} GPUs, each on its own, are more than limits.fabric_gpus {1}; --set limits.fabric_gpus={0} allows "
      "them",
      s.gpus(), limits.fabric_gpus);
}

std::string too_many_flows(const Scenario& s, const Limits& limits) {
  if (s.network != Fidelity::flow || s.gpus() <= limits.flow_gpus) return "";
  return fmt::format(
      "the flows of {0} GPUs are more than limits.flow_gpus {1}; --set limits.flow_gpus={0} allows them",
      s.gpus(), limits.flow_gpus);
}

}  // namespace runcast
