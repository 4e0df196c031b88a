// `runcast validate [--cases FILE]`: predicted against measured steps.
#include "scenarios/validation.hpp"

#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/screen.hpp"

namespace runcast {

Answer validate_command(const Invocation& invocation) {
  Progress progress("steps", invocation.arguments.has("quiet"));
  std::optional<CasesFile> cases;
  if (const std::string path = invocation.arguments.last("cases"); !path.empty())
    cases = CasesFile{read_text(path, "--cases"), path};
  nlohmann::ordered_json document =
      validate_document(cases, invocation.library, experiment_options(invocation, progress));
  std::string screen = validation_screen(document, invocation.style);
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
