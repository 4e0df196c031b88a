// goodput: the run alone, its curves, one trial's events, and policies compared on the same failures.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/output.hpp"
#include "tools/report/screen.hpp"

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

// Chrome trace events of one trial: the buckets on one line, what struck on another. Whole microseconds.
std::string chrome_trace(const Json& log) {
  const auto us = [](double seconds) { return static_cast<std::int64_t>(seconds * 1e6); };
  Json events = Json::array();
  events.push_back({{"ph", "M"}, {"pid", 0}, {"name", "process_name"}, {"args", {{"name", "run"}}}});
  const auto line = [&](int tid, const char* name) {
    events.push_back(
        {{"ph", "M"}, {"pid", 0}, {"tid", tid}, {"name", "thread_name"}, {"args", {{"name", name}}}});
  };
  line(0, "where time goes");
  line(1, "what struck");
  for (const Json& span : part_of(log, "spans")) {
    const std::int64_t begin = us(number_of(span, "begin_s"));
    events.push_back({{"ph", "X"},
                      {"pid", 0},
                      {"tid", 0},
                      {"ts", begin},
                      {"dur", us(number_of(span, "end_s")) - begin},
                      {"name", words_of(text_of(span, "bucket"))}});
  }
  for (const Json& event : part_of(log, "events"))
    events.push_back({{"ph", "i"},
                      {"pid", 0},
                      {"tid", 1},
                      {"ts", us(number_of(event, "at_s"))},
                      {"s", "t"},
                      {"name", text_of(event, "cause")},
                      {"args", event}});
  return Json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
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
  Json document =
      goodput_document(open_scenario(arguments.positionals.front(), invocation), invocation.library, options);
  if (timeline) timeline->finish(chrome_trace(part_of(document, "studies.log")));
  if (!arguments.has("log") && timeline) document["studies"].erase("log");
  return judged(std::move(document), invocation.style);
}

}  // namespace runcast
