// Models that others trained and told of: parameters, tokens, GPU-hours; library/published/trained_models.csv, each row
// with its source. An empty `parameters` is counted from the library's model (active ones, where it has experts).
#pragma once

#include <string>
#include <vector>

#include "scenarios/library.hpp"

namespace runcast {

struct TrainedModel {
  std::string name, model, gpu, source;
  double parameters = 0;  // that a token uses
  double tokens = 0;
  double gpu_hours = 0;  // 0: not published
  bool experts = false;
};

// Throws ConfigError, located, for a table that cannot be read.
std::vector<TrainedModel> trained_models(const Library&);

}  // namespace runcast
