// The scaling laws asked for a budget: FLOPs, GPU-hours at the MFU of a simulated step, dollars, or a loss to reach.
//   C = GPU-hours x 3600 x peak x MFU, MFU in the laws' own FLOPs: 6 N a token (a step's `exact` MFU x 6N / exact)
//   GPU-hours = dollars / price
// The answer is a JSON document with n_opt, d_opt, loss (interface.md); known models are placed beside it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parallelism/scaling_law.hpp"
#include "scenarios/library.hpp"
#include "sim/config.hpp"

namespace runcast {

// A stretch of training with one batch; tokens 0: share of the run not said, critical 0: by Kaplan's law.
struct RampPhase {
  double tokens = 0, batch = 0, critical = 0;
};

struct ScalingRequest {
  std::string law = "chinchilla";
  // At most one of these.
  std::optional<Flops> compute;
  std::optional<double> gpu_hours;
  std::optional<Dollars> budget;
  std::optional<double> loss;
  // What GPU-hours and dollars buy, where no scenario is given.
  std::string gpu, precision = "bf16";
  std::optional<double> mfu;
  std::optional<Dollars> price;
  // A model of one's own to place.
  std::string model;
  std::optional<double> parameters, tokens;
  std::vector<RampPhase> ramp;
  std::uint64_t seed = 1;
};

// `scenario`: its simulated step tells the MFU, its prices the GPU-hour, its phases the batch ramp. Errors begin with
// the option of the command line that they are about.
nlohmann::ordered_json scaling_document(const ScalingRequest&, std::optional<Document> scenario,
                                        const Library&);

}  // namespace runcast
