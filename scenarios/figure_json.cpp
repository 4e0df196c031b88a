// See the header.
#include "scenarios/figure_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

namespace runcast {

nlohmann::ordered_json known(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace runcast
