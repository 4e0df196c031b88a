// Levers, their elasticities, and the interval of the calibration.
#include "scenarios/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/calibration_constants.hpp"
#include "scenarios/run_experiment.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kChange = 0.05;
constexpr std::int64_t kTrials = 100;
constexpr double kLevel = 0.8, kQuantile = 1.2816;  // of a normal law: 10 % above

struct Lever {
  std::string name, kind;
  std::function<void(Scenario&, double factor)> scale;
  bool moves_step = false;
  std::optional<double> sd;  // of ln(constant), by the calibration
};

struct Figures {
  double step = 0, days = 0, usd = 0;
};

Lever lever(std::string name, std::string kind, bool moves_step,
            std::function<void(Scenario&, double)> scale) {
  return {std::move(name), std::move(kind), std::move(scale), moves_step, std::nullopt};
}

void add_hardware(std::vector<Lever>& levers, const Scenario& s) {
  const auto add = [&](const char* name, auto member) {
    levers.push_back(lever(name, "hardware", true,
                           [member](Scenario& changed, double factor) { member(changed) *= factor; }));
  };
  levers.push_back(lever("GPU peak rate", "hardware", true, [](Scenario& c, double factor) {
    for (FlopRate* rate : {&c.node.gpu.peak.bf16, &c.node.gpu.peak.fp16, &c.node.gpu.peak.tf32,
                           &c.node.gpu.peak.fp8, &c.node.gpu.peak.mxfp8, &c.node.gpu.peak.nvfp4})
      *rate *= factor;
  }));
  add("GPU memory bandwidth", [](Scenario& c) -> double& { return c.node.gpu.memory_bandwidth.value; });
  add("scale-up bandwidth", [](Scenario& c) -> double& { return c.node.scale_up.bandwidth.value; });
  add("scale-up latency", [](Scenario& c) -> double& { return c.node.scale_up.latency.value; });
  if (s.nodes < 2) return;
  add("NIC bandwidth", [](Scenario& c) -> double& { return c.node.nic.bandwidth.value; });
  add("NIC latency", [](Scenario& c) -> double& { return c.node.nic.latency.value; });
}

// "bf16: 0.81  # ... 95 % interval [0.77, 0.85]" behind each word of the key in turn: the interval as sd of ln.
std::optional<double> fitted_sd(const std::string& text, std::string_view key) {
  std::size_t at = 0;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    at = text.find(fmt::format("{}:", key.substr(begin, end - begin)), at);
    if (at == std::string::npos) return std::nullopt;
    begin = end + 1;
  }
  const std::string line = text.substr(at, text.find('\n', at) - at);
  constexpr std::string_view kWords = "95 % interval [";
  const std::size_t open = line.find(kWords), comma = line.find(',', open);
  if (open == std::string::npos || comma == std::string::npos) return std::nullopt;
  const double low = std::strtod(line.c_str() + open + kWords.size(), nullptr);
  const double high = std::strtod(line.c_str() + comma + 1, nullptr);
  return low > 0 && high > low ? std::optional(std::log(high / low) / (2 * 1.96)) : std::nullopt;
}

void add_calibrated(std::vector<Lever>& levers, const Scenario& s, const Library& library) {
  for (const Constant& constant : calibration_constants()) {
    if (!constant.concerns(s)) continue;
    Lever made = lever(std::string(constant.name), "calibrated", true,
                       [&constant](Scenario& c, double factor) { constant.scale(c, factor); });
    for (const std::string_view name : {std::string_view(s.node.gpu.name), std::string_view(s.node.name),
                                        std::string_view(s.fabric.name), std::string_view(s.software.name)})
      if (const LibraryEntry* entry = library.find(constant.folder, name); entry != nullptr && !made.sd)
        made.sd = fitted_sd(entry->text, constant.fields.front().key);
    if (!made.sd) made.sd = constant.prior;
    levers.push_back(std::move(made));
  }
}

void add_run(std::vector<Lever>& levers, const Scenario& s) {
  for (std::size_t i = 0; i < s.failures.classes.size(); ++i)
    levers.push_back(lever("rate of " + s.failures.classes[i].name, "failures", false,
                           [i](Scenario& c, double factor) { c.failures.classes[i].rate.rate *= factor; }));
  const auto add = [&](const char* name, const char* kind, auto member) {
    levers.push_back(lever(name, kind, false, [member](Scenario& c, double factor) { member(c) *= factor; }));
  };
  add("recovery: detect", "recovery", [](Scenario& c) -> double& { return c.recovery.detect.value; });
  add("recovery: diagnose", "recovery", [](Scenario& c) -> double& { return c.recovery.diagnose.value; });
  add("recovery: start", "recovery", [](Scenario& c) -> double& { return c.recovery.start.value; });
  add("recovery: warm-up", "recovery", [](Scenario& c) -> double& { return c.recovery.warm_up.value; });
  if (s.checkpoint.rule == IntervalRule::fixed)
    add("checkpoint: interval", "recovery",
        [](Scenario& c) -> double& { return c.checkpoint.interval.value; });
  if (s.checkpoint.block)
    add("checkpoint: block", "recovery", [](Scenario& c) -> double& { return c.checkpoint.block->value; });
  add("checkpoint: write bandwidth", "recovery",
      [](Scenario& c) -> double& { return c.checkpoint.write.value; });
  if (s.economics.gpu_hour.value > 0)
    add("price of a GPU-hour", "price", [](Scenario& c) -> double& { return c.economics.gpu_hour.value; });
}

Figures figures_of(const Scenario& s, const StepExperiment& step, const ExperimentOptions& options) {
  const std::vector<RunPhase> phases = run_phases(s, step, options.seed);
  const RunOutcome outcome =
      run_outcome(s, run_input(s, step_times(s, phases, options.seed), step, options), phases, options);
  const Json& usd = outcome.cost["usd"];
  return {to_seconds(step.step.time).value, outcome.run["days"]["mean"].get<double>(),
          usd.is_number() ? usd.get<double>() : 0};
}

double elasticity(double low, double high, double down, double up) {
  return low > 0 && high > 0 ? std::log(high / low) / std::log(up / down) : 0;
}

}  // namespace

nlohmann::ordered_json sensitivity_json(const Scenario& s, const Library& library,
                                        const ExperimentOptions& given) {
  ExperimentOptions options = given;
  if (!options.trials && !options.automatic_trials) options.trials = kTrials;
  options.progress = nullptr;
  std::vector<Lever> levers;
  add_hardware(levers, s);
  add_calibrated(levers, s, library);
  add_run(levers, s);
  const StepExperiment usual = simulate(s, options.seed);
  const double up = 1 + kChange, down = 1 - kChange;
  struct Row {
    const Lever* lever;
    Figures elasticity;
  };
  std::vector<Row> rows;
  Figures variance;
  std::int64_t done = 0;
  for (const Lever& one : levers) {
    const auto at = [&](double factor) {
      Scenario changed = s;
      one.scale(changed, factor);
      return figures_of(changed, one.moves_step ? simulate(changed, options.seed) : usual, options);
    };
    const Figures low = at(down), high = at(up);
    Row row{&one,
            {elasticity(low.step, high.step, down, up), elasticity(low.days, high.days, down, up),
             elasticity(low.usd, high.usd, down, up)}};
    if (one.sd) {
      const auto square = [&](double e) { return e * *one.sd * e * *one.sd; };
      variance = {variance.step + square(row.elasticity.step), variance.days + square(row.elasticity.days),
                  variance.usd + square(row.elasticity.usd)};
    }
    rows.push_back(row);
    if (given.progress) given.progress(++done, static_cast<std::int64_t>(levers.size()));
  }
  std::ranges::stable_sort(rows, [](const Row& a, const Row& b) {
    return std::max(std::abs(a.elasticity.days), std::abs(a.elasticity.usd)) >
           std::max(std::abs(b.elasticity.days), std::abs(b.elasticity.usd));
  });
  const Figures base = figures_of(s, usual, options);
  Json json = {{"change", kChange},
               {"trials", options.trials ? Json(*options.trials) : Json("auto")},
               {"rows", Json::array()}};
  for (const Row& row : rows)
    json["rows"].push_back({{"name", row.lever->name},
                            {"kind", row.lever->kind},
                            {"step", row.elasticity.step},
                            {"days", row.elasticity.days},
                            {"usd", base.usd > 0 ? Json(row.elasticity.usd) : Json(nullptr)},
                            {"sd", row.lever->sd ? Json(*row.lever->sd) : Json(nullptr)}});
  const auto interval = [&](double figure, double v) -> Json {
    const double factor = std::exp(kQuantile * std::sqrt(v));
    return {{"value", figure}, {"low", figure / factor}, {"high", figure * factor}};
  };
  json["calibration"] = {{"level", kLevel},
                         {"step_s", interval(base.step, variance.step)},
                         {"days", interval(base.days, variance.days)}};
  if (base.usd > 0) json["calibration"]["usd"] = interval(base.usd, variance.usd);
  return json;
}

}  // namespace runcast
