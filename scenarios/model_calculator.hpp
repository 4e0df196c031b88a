// What is known of a model by counting alone, as the document of `runcast model`: parameters, FLOPs a token under every
// convention, shares of attention, memory, KV cache, rooflines, what fits where, what a token count costs, and the grade
// of a measured throughput. The formulas are those of parallelism/model, memory and roofline.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "scenarios/library.hpp"
#include "sim/units.hpp"

namespace runcast {

struct ModelRequest {
  std::string model;          // a library name or a path
  std::int64_t sequence = 0;  // 0: 4096, or all learned positions where they are fewer
  std::string convention = "exact";
  std::string gpu = "h100", precision = "bf16", software = "megatron", optimizer = "adamw";
  int gpus = 1;                         // that share the work of `tokens` and `measured`
  double batch = 1;                     // sequences decoded together
  double context = 0;                   // tokens behind each of them; 0: the sequence
  std::optional<double> tokens;         // to price
  std::optional<double> mfu;            // for the price; none: 1, a lower bound
  std::optional<Dollars> price;         // of a GPU-hour; none: the library's
  std::optional<Watts> power;           // of a GPU at work; none: its TDP
  double pue = 1.1, kg_per_kwh = 0.38;  // as a scenario's without a region
  std::optional<double> measured;       // tokens/s of all GPUs
  std::optional<FlopRate> peak;         // the user's own figure of the GPU's peak
};

// Errors begin with the option of the command line that they are about.
nlohmann::ordered_json model_document(const ModelRequest&, const Library&);

}  // namespace runcast
