// `runcast search`: the best layouts of a cluster.
#include "scenarios/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/assertion.hpp"
#include "tools/report/formats.hpp"
#include "tools/report/output.hpp"
#include "tools/report/screen.hpp"

namespace runcast {
namespace {

constexpr std::int64_t kMostListed = 10'000;

std::string objective_of(const Arguments& arguments) {
  if (!arguments.has("objective")) return search_objectives().front();
  const std::string name = arguments.last("objective");
  const std::vector<std::string> names = search_objectives();
  if (std::ranges::find(names, name) == names.end())
    throw ConfigError(fmt::format("--objective: '{}' is none of: {}", name, fmt::join(names, ", ")));
  return name;
}

}  // namespace

Answer search_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  SearchQuestion question;
  for (const std::string& axis : arguments.all("space")) set_axis(question.axes, axis);
  question.objective = objective_of(arguments);
  if (arguments.has("top"))
    question.top = static_cast<std::size_t>(whole_number(arguments.last("top"), "top", 1, kMostListed));
  std::vector<Assertion> claims;
  for (const std::string& claim : arguments.all("where")) claims.emplace_back(claim);
  if (!claims.empty())
    question.allowed = [&claims](const nlohmann::ordered_json& row) {
      return std::ranges::all_of(claims, [&](const Assertion& claim) { return claim.judge(row).holds; });
    };
  const StopOnInterrupt stop;
  question.stop = StopOnInterrupt::asked;
  Progress progress("layouts", arguments.has("quiet"));
  const ScenarioSource source = source_of(arguments.positionals.front(), invocation);
  nlohmann::ordered_json document =
      search_document(source, question, invocation.library, experiment_options(invocation, progress));
  const bool found = !document["layouts"].empty(), complete = document["complete"].get<bool>();
  if (arguments.has("no-timing")) remove_timing(document);  // the screen tells seconds, too
  std::string screen = search_screen(document, invocation.style);
  Answer answer(std::move(document), std::move(screen), found);
  answer.interrupted = !complete;
  return answer;
}

}  // namespace runcast
