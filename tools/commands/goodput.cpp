// goodput: the run alone, its curves, one trial's events, and policies compared on the same failures.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/output.hpp"
#include "tools/report/screen.hpp"
#include "tools/report/trace.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

struct Values {
  std::string key;
  std::vector<std::string> values;
};

std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' '), end = text.find_last_not_of(' ');
  return begin == std::string::npos ? std::string() : text.substr(begin, end - begin + 1);
}

// "recovery.policy=[a, b]"; commas inside brackets of a value do not separate.
Values values_of(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string list = equals == std::string::npos ? std::string() : trimmed(text.substr(equals + 1));
  if (equals == 0 || list.size() < 3 || list.front() != '[' || list.back() != ']')
    throw ConfigError(fmt::format(
        "--compare: '{}' is no list of values; write for example recovery.policy=[restart, hot_spare]",
        text));
  Values out{trimmed(text.substr(0, equals)), {}};
  std::string value;
  int depth = 0;
  for (std::size_t i = 1; i + 1 < list.size(); ++i) {
    const char c = list[i];
    depth += c == '[' || c == '{' ? 1 : c == ']' || c == '}' ? -1 : 0;
    if (c == ',' && depth == 0)
      out.values.push_back(trimmed(std::exchange(value, {})));
    else
      value += c;
  }
  out.values.push_back(trimmed(value));
  for (const std::string& v : out.values)
    if (v.empty()) throw ConfigError(fmt::format("--compare: '{}' has an empty value", text));
  if (out.values.size() < 2)
    throw ConfigError(fmt::format("--compare: '{}' has one value; two or more are compared", text));
  return out;
}

Answer compared(const Invocation& invocation, const ExperimentOptions& options) {
  const Values values = values_of(invocation.arguments.last("compare"));
  std::vector<Alternative> alternatives;
  for (const std::string& value : values.values) {
    Document document = open_scenario(invocation.arguments.positionals.front(), invocation);
    document.set(values.key + "=" + value);
    alternatives.push_back({value, std::move(document)});
  }
  return judged(comparison_document(std::move(alternatives), values.key, invocation.library, options),
                invocation.style);
}

}  // namespace

Answer goodput_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  Progress progress("trials", arguments.has("quiet"));
  ExperimentOptions options = experiment_options(invocation, progress);
  if (arguments.has("compare")) return compared(invocation, options);
  if (arguments.has("log") || arguments.has("timeline"))
    options.log_trial = arguments.has("log") ? whole_number(arguments.last("log"), "log", 0) : 0;
  std::optional<Output> timeline;
  if (arguments.has("timeline")) timeline.emplace(arguments.last("timeline"));
  Json document = simulated(invocation, options, "goodput");
  if (timeline) timeline->finish(run_trace(document));
  if (!arguments.has("log") && timeline) document["studies"].erase("log");
  return judged(std::move(document), invocation.style);
}

}  // namespace runcast
