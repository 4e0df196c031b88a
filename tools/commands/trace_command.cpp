// trace diff A B: which slots moved between two scenarios.
#include <nlohmann/json.hpp>

#include "sim/error.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"
#include "tools/report/trace_diff.hpp"

namespace runcast {

Answer trace_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  if (arguments.positionals.front() != "diff")
    throw ConfigError("runcast trace: '" + arguments.positionals.front() +
                      "' is not diff; it is used: runcast trace diff A B");
  Progress progress("trials", arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  Document of_a = open_scenario(arguments.positionals[1], invocation);
  Document of_b = open_scenario(arguments.positionals[2], invocation);
  for (const std::string& assignment : arguments.all("set-b")) of_b.set(assignment);
  const Scenario a = read_scenario(of_a, invocation.library), b = read_scenario(of_b, invocation.library);
  nlohmann::ordered_json document = {{"schema_version", 1}, {"a", a.name}, {"b", b.name}};
  document.update(trace_diff(timeline_of(a, options.seed, false, TimelineLevel::microbatch),
                             timeline_of(b, options.seed, false, TimelineLevel::microbatch)));
  std::string screen = diff_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
