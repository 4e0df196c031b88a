// network: the scenario's fabric and what its collectives meet on it.
#include <nlohmann/json.hpp>

#include "scenarios/network_report.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {

Answer network_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  Progress progress("links", arguments.has("quiet"));
  const ExperimentOptions options = experiment_options(invocation, progress);
  NetworkQuestion question;
  const auto rank = [&](std::string_view option) -> std::optional<RankId> {
    if (!arguments.has(option)) return std::nullopt;
    return RankId(static_cast<std::int32_t>(whole_number(arguments.last(option), option, 0, 100'000'000)));
  };
  question.from = rank("from");
  question.to = rank("to");
  for (const std::string& name : arguments.all("with")) {
    Document document = open_scenario(name, invocation);
    question.neighbours.push_back(read_scenario(document, invocation.library));
  }
  nlohmann::ordered_json document = network_document(open_scenario(arguments.positionals.front(), invocation),
                                                     invocation.library, options, question);
  std::string screen = network_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
