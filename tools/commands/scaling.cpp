// `runcast scaling`: the best division of a budget between parameters and tokens.
#include "scenarios/scaling.hpp"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tools/commands/option_values.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

// A PF-day is 1e15 FLOP/s for a day [Kaplan et al. 2020].
constexpr std::array kComputeUnits = {
    Unit{"", 1},         Unit{"FLOP", 1},     Unit{"FLOPs", 1},        Unit{"EFLOP", 1e18},
    Unit{"ZFLOP", 1e21}, Unit{"YFLOP", 1e24}, Unit{"PF-days", 8.64e19}};
constexpr std::array kTokenUnits = {Unit{"", 1}, Unit{"tokens", 1}};
constexpr std::array kHourUnits = {Unit{"", 1}, Unit{"h", 1}, Unit{"GPU-hours", 1}};

// "252M:4M/2M": tokens : batch / critical batch, all in tokens; the first and the last part may be left out.
RampPhase ramp_phase(const std::string& text) {
  const std::string where = fmt::format("--ramp {}", text);
  RampPhase phase;
  std::string rest = text;
  if (const auto colon = rest.find(':'); colon != std::string::npos) {
    phase.tokens = positive_quantity(rest.substr(0, colon), where, kTokenUnits);
    rest = rest.substr(colon + 1);
  }
  if (const auto slash = rest.find('/'); slash != std::string::npos) {
    phase.critical = positive_quantity(rest.substr(slash + 1), where, kTokenUnits);
    rest = rest.substr(0, slash);
  }
  phase.batch = positive_quantity(rest, where, kTokenUnits);
  return phase;
}

std::vector<RampPhase> ramp_of(const std::string& text) {
  std::vector<RampPhase> ramp;
  for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    ramp.push_back(ramp_phase(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return ramp;
}

}  // namespace

Answer scaling_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  ScalingRequest request;
  if (arguments.has("law")) request.law = arguments.last("law");
  if (const auto flops = quantity_option(invocation, "compute", kComputeUnits))
    request.compute = Flops(*flops);
  request.gpu_hours = quantity_option(invocation, "gpu-hours", kHourUnits);
  const std::string budget = value_with_unit(invocation, "budget", 0);
  if (!budget.empty()) {
    request.budget = parse_dollars(budget, "--budget");
    if (request.budget->value <= 0) throw ConfigError("--budget: it must be more than 0 USD");
  }
  request.loss = number_option(invocation, "loss");
  request.gpu = arguments.last("gpu");
  if (arguments.has("precision")) request.precision = arguments.last("precision");
  request.mfu = number_option(invocation, "mfu");
  request.price = dollars_option(invocation, "price");
  request.model = arguments.last("model");
  request.parameters = number_option(invocation, "parameters");
  request.tokens = quantity_option(invocation, "tokens", kTokenUnits);
  request.ramp = ramp_of(arguments.last("ramp"));
  Progress progress("", true);
  request.seed = experiment_options(invocation, progress).seed;
  std::optional<Document> scenario;
  if (arguments.has("scenario")) {
    scenario.emplace(open_scenario(arguments.last("scenario"), invocation));
  } else if (arguments.has("set")) {
    throw ConfigError("--set: of which scenario? Give --scenario NAME");
  }
  nlohmann::ordered_json document = scaling_document(request, std::move(scenario), invocation.library);
  std::string screen = scaling_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
