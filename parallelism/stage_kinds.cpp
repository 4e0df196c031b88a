// Equal stages by their layers and ends.
#include "parallelism/stage_kinds.hpp"

#include <algorithm>

namespace runcast {

StageKinds stage_kinds(const Model& model, std::span<const std::int64_t> stage_layers) {
  StageKinds kinds;
  std::vector<std::vector<std::uint8_t>> lists;
  std::int64_t first = 0;
  for (std::size_t stage = 0; stage < stage_layers.size(); ++stage) {
    const bool opens = stage == 0, closes = stage + 1 == stage_layers.size();
    std::vector<std::uint8_t> list{static_cast<std::uint8_t>((opens ? 1 : 0) + (closes ? 2 : 0))};
    for (std::int64_t i = 0; i < stage_layers[stage]; ++i)
      list.push_back(static_cast<std::uint8_t>((model.layer_is_moe(first + i) ? 1 : 0) +
                                               (model.layer_is_windowed(first + i) ? 2 : 0)));
    first += stage_layers[stage];
    const auto known = std::ranges::find(lists, list);
    kinds.of_stage.push_back(static_cast<int>(known - lists.begin()));
    if (known != lists.end()) continue;
    lists.push_back(std::move(list));
    kinds.example.push_back(static_cast<int>(stage));
  }
  return kinds;
}

}  // namespace runcast
