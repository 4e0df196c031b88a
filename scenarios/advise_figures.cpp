// See the header.
#include "scenarios/advise_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/advise.hpp"
#include "scenarios/figure_json.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kMedium = 0.05, kHigh = 0.2;  // of the dollars
constexpr double kSame = 1e-9;                 // of two sums of the same amounts

double number_at(const Json& document, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!document.contains(at) || !document.at(at).is_number()) return Figures::kUnknown;
  return document.at(at).get<double>();
}

double saved_share(double before, double after) {
  if (!std::isfinite(before) || before <= 0) return 0;
  return 1 - after / before;
}

double share_of_memory(const Figures& f) { return f.peak_gib / f.capacity_gib; }

}  // namespace

bool Figures::ends() const { return std::isfinite(cost); }

Figures figures_of(const Json& run) {
  Figures f;
  f.step_s = number_at(run, "/step/time_s");
  f.mfu = number_at(run, "/step/mfu");
  f.peak_gib = number_at(run, "/step/memory/peak_gib");
  f.capacity_gib = number_at(run, "/step/memory/capacity_gib");
  f.goodput = number_at(run, "/run/goodput/mean");
  f.days = number_at(run, "/run/days/mean");
  f.usd = number_at(run, "/cost/usd");
  f.total_usd = number_at(run, "/cost/total_usd");
  f.gpu_hours = number_at(run, "/cost/gpu_hours");
  f.energy_mwh = number_at(run, "/cost/energy_mwh");
  f.co2e_t = number_at(run, "/cost/co2e_t");
  f.fits = run.at("step").at("memory").at("fits").get<bool>();
  f.trials = run.at("run").at("trials").get<std::int64_t>();
  f.interruptions = number_at(run, "/run/interruptions/mean");
  f.cost = std::isfinite(f.total_usd) ? f.total_usd : f.gpu_hours + number_at(run, "/cost/spare_gpu_hours");
  if (!std::isfinite(f.days)) f.cost = Figures::kUnknown;
  return f;
}

Json json_of(const Figures& f) {
  return {{"step_s", known(f.step_s)},
          {"mfu", known(f.mfu)},
          {"peak_gib", known(f.peak_gib)},
          {"fits", f.fits},
          {"goodput", known(f.goodput)},
          {"days", known(f.days)},
          {"usd", known(f.usd)},
          {"total_usd", known(f.total_usd)},
          {"gpu_hours", known(f.gpu_hours)},
          {"energy_mwh", known(f.energy_mwh)},
          {"co2e_t", known(f.co2e_t)}};
}

bool better(const Figures& a, const Figures& b, double share) {
  if (a.fits != b.fits) return a.fits;
  if (!a.fits && share_of_memory(a) != share_of_memory(b))
    return share_of_memory(a) < share_of_memory(b) * (1 - share);
  if (a.cost < b.cost * (1 - share) || (a.ends() && !b.ends())) return true;
  return a.cost <= b.cost * (1 + kSame) && a.co2e_t < b.co2e_t * (1 - share);
}

std::string_view severity_of(const Figures& before, const Figures& after) {
  if (after.fits != before.fits || after.ends() != before.ends()) return kSeverities[3];
  const double dollars = saved_share(before.cost, after.cost);
  // Emissions alone count a quarter: nobody's bill falls.
  const double share = std::max(dollars, saved_share(before.co2e_t, after.co2e_t) / 4);
  return kSeverities[share >= kHigh ? 2 : share >= kMedium ? 1 : 0];
}

Json savings_json(const Figures& before, const Figures& after) {
  return {{"days_saved", known(before.days - after.days)},
          {"usd_saved", known(before.total_usd - after.total_usd)},
          {"co2e_t_saved", known(before.co2e_t - after.co2e_t)}};
}

std::string does_not_fit(double peak_gib, double capacity_gib) {
  return fmt::format("does not fit: {:.1f} of {:.1f} GiB", peak_gib, capacity_gib);
}

std::string why_not(const Figures& tried, const Figures& taken, const Figures& today) {
  if (!tried.fits && (taken.fits || share_of_memory(tried) > share_of_memory(taken)))
    return does_not_fit(tried.peak_gib, tried.capacity_gib);
  if (!tried.ends()) return "the run does not end";
  const char* unit = std::isfinite(tried.total_usd) ? "USD" : "GPU-hours";
  for (const auto& [other, name] :
       {std::pair{&today, "today's"}, std::pair{&taken, "that of what is proposed"}}) {
    if (other->ends() && tried.cost > other->cost * (1 + kSame))
      return fmt::format("its cost is {:.4g} {} above {}", tried.cost - other->cost, unit, name);
    if (tried.cost >= other->cost * (1 - kSame) && tried.co2e_t > other->co2e_t * (1 + kSame))
      return fmt::format("its CO2e is {:.4g} t above {}, its cost the same", tried.co2e_t - other->co2e_t,
                         name);
  }
  return tried.trials < taken.trials
             ? fmt::format("no better than what is proposed in {} trials", tried.trials)
             : std::string("no better than what is proposed");
}

}  // namespace runcast
