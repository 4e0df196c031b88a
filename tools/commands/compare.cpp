// `runcast compare A B [C...]`: what differs, and where the difference of the results lies.
#include "scenarios/compare.hpp"

#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {

// Exit status as diff's: 0 nothing differs, 1 something does.
Answer compare_command(const Invocation& invocation) {
  Progress progress("trials", invocation.arguments.has("quiet"));
  std::vector<ScenarioSource> sources;
  for (const std::string& name : invocation.arguments.positionals)
    sources.push_back(source_of(name, invocation));
  nlohmann::ordered_json document =
      compare_document(sources, invocation.library, experiment_options(invocation, progress));
  const bool equal = document["equal"].get<bool>();
  std::string screen = compare_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen), equal);
}

}  // namespace runcast
