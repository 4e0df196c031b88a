// `runcast model`: what is known of a model by counting.
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "scenarios/model_calculator.hpp"
#include "tools/commands/option_values.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

constexpr std::array kTokenUnits = {Unit{"", 1}, Unit{"tokens", 1}};
constexpr std::array kThroughputUnits = {Unit{"tokens/s", 1}, Unit{"", 1}};
constexpr std::array kRateUnits = {Unit{"TFLOP/s", 1e12}, Unit{"PFLOP/s", 1e15}, Unit{"TFLOPS", 1e12}};
constexpr std::array kPowerUnits = {Unit{"W", 1}, Unit{"kW", 1e3}};
constexpr std::int64_t kMostGpus = 1'000'000, kMostSequence = 1'000'000'000;

}  // namespace

Answer model_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  ModelRequest r;
  r.model = arguments.positionals.front();
  const auto text = [&](std::string_view option, std::string& value) {
    if (arguments.has(option)) value = arguments.last(option);
  };
  text("convention", r.convention);
  text("gpu", r.gpu);
  text("precision", r.precision);
  text("software", r.software);
  text("optimizer", r.optimizer);
  if (arguments.has("sequence"))
    r.sequence = whole_number(arguments.last("sequence"), "sequence", 1, kMostSequence);
  if (arguments.has("gpus"))
    r.gpus = static_cast<int>(whole_number(arguments.last("gpus"), "gpus", 1, kMostGpus));
  if (arguments.has("batch"))
    r.batch = static_cast<double>(whole_number(arguments.last("batch"), "batch", 1, kMostSequence));
  if (arguments.has("context"))
    r.context = static_cast<double>(whole_number(arguments.last("context"), "context", 1, kMostSequence));
  r.tokens = quantity_option(invocation, "tokens", kTokenUnits);
  r.mfu = number_option(invocation, "mfu");
  r.price = dollars_option(invocation, "price");
  if (const auto power = quantity_option(invocation, "power", kPowerUnits)) r.power = Watts(*power);
  r.pue = number_option(invocation, "pue").value_or(r.pue);
  r.kg_per_kwh = number_option(invocation, "carbon").value_or(r.kg_per_kwh);
  if (const std::string measured = value_with_unit(invocation, "measured", 1); !measured.empty())
    r.measured = positive_quantity(measured, "--measured", kThroughputUnits);
  if (const auto peak = quantity_option(invocation, "peak", kRateUnits)) r.peak = FlopRate(*peak);
  nlohmann::ordered_json document = model_document(r, invocation.library);
  std::string screen = model_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
