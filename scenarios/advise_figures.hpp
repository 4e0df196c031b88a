// What `advise` compares of two runs, which of them is better, and the sentence that says why the other is not.
//   better   fits first; where neither does, what needs less of its GPUs' memory; then what it costs (all dollars, or
//            all GPU-hours where no price is known), then what it emits
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace runcast {

struct Figures {
  static constexpr double kUnknown = std::numeric_limits<double>::infinity();  // null in the JSON
  double step_s = kUnknown, mfu = kUnknown, peak_gib = kUnknown, capacity_gib = kUnknown, goodput = kUnknown,
         days = kUnknown, usd = kUnknown, total_usd = kUnknown, gpu_hours = kUnknown, energy_mwh = kUnknown,
         co2e_t = kUnknown;
  bool fits = true;
  double cost = kUnknown;    // all dollars or all GPU-hours; infinite when the run does not end
  double interruptions = 0;  // of a trial
  std::int64_t trials = 0;
  bool ends() const;
};
Figures figures_of(const nlohmann::ordered_json& run);
nlohmann::ordered_json json_of(const Figures&);

// By more than `share` of what is compared.
bool better(const Figures& a, const Figures& b, double share);
// By the share of the dollars that is saved: one of kSeverities (advise.hpp).
std::string_view severity_of(const Figures& before, const Figures& after);

// days_saved, usd_saved, co2e_t_saved.
nlohmann::ordered_json savings_json(const Figures& before, const Figures& after);

// Why what was tried is not proposed by its lever; `taken` is.
std::string why_not(const Figures& tried, const Figures& taken, const Figures& today);
std::string does_not_fit(double peak_gib, double capacity_gib);

}  // namespace runcast
