// advise: levers tried on a scenario, ranked by what simulation says they save.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "scenarios/advise.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

std::size_t severity_rank(const std::string& name) {
  const auto found = std::ranges::find(kSeverities, name);
  if (found == kSeverities.end())
    throw ConfigError(
        fmt::format("--fail-on: unknown severity '{}'; legal: {}", name, "low medium high critical"));
  return static_cast<std::size_t>(found - kSeverities.begin());
}

AdviceSearch search_named(const std::string& name) {
  const auto found = std::ranges::find(kAdviceSearches, name);
  if (found == kAdviceSearches.end())
    throw ConfigError(fmt::format("--search: unknown effort '{}'; legal: none quick full", name));
  return static_cast<AdviceSearch>(found - kAdviceSearches.begin());
}

}  // namespace

Answer advise_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  std::optional<std::size_t> least;
  if (arguments.has("fail-on")) least = severity_rank(arguments.last("fail-on"));
  const AdviceSearch search =
      arguments.has("search") ? search_named(arguments.last("search")) : AdviceSearch::quick;
  Progress progress("levers", arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  const std::string& name = arguments.positionals.front();
  if (name == "-")
    throw ConfigError("advise: a scenario from standard input has no lines to point at; give a file");
  nlohmann::ordered_json document =
      advise_document(source_of(name, invocation), invocation.library, options, search);
  bool verdict = true;
  if (least)
    for (const nlohmann::ordered_json& row : document["rows"])
      verdict = verdict && severity_rank(row["severity"].get<std::string>()) < *least;
  std::string screen = advice_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen), verdict);
}

}  // namespace runcast
