// Scenarios as text, from the YAML to the struct; a legal one is legal again as it was resolved. Leaves out: running
// it (see step.cpp).
#include "scenarios/scenario.hpp"

#include <nlohmann/json.hpp>

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void scenario(std::string_view input) {
  static const Library library;
  answered([&] {
    Document document = Document::parse(std::string(input), "scenario.yaml");
    (void)read_scenario(document, library);
    const std::string resolved = document.resolved().dump();
    if (resolved.size() > 100'000) return;  // as JSON it may be longer than the limit of a text
    Document again = Document::parse(resolved, "resolved");
    try {
      (void)read_scenario(again, library);
    } catch (const ConfigError& error) {
      throw InternalError(std::string("the resolved scenario is refused: ") + error.what());
    }
    INVARIANT(again.resolved().dump() == resolved);
  });
}

}  // namespace runcast::fuzz
