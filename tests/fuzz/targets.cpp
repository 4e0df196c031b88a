// The table of targets.
#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <array>

namespace runcast::fuzz {

std::span<const Target> targets() {
  static constexpr std::array<Target, 12> kTargets = {{{"scenario", scenario},
                                                       {"step", step},
                                                       {"study", study},
                                                       {"csv", csv},
                                                       {"huggingface", huggingface},
                                                       {"megatron", megatron},
                                                       {"quantity", quantity},
                                                       {"overrides", overrides},
                                                       {"assertion", assertion},
                                                       {"results", results},
                                                       {"aicb", aicb},
                                                       {"nccl_topology", nccl_topology}}};
  return kTargets;
}

const Target* find_target(std::string_view name) {
  const auto all = targets();
  const auto found = std::ranges::find(all, name, &Target::name);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace runcast::fuzz
