// Workloads of AICB, with the library's model and without: what was imported reads as a scenario, or is refused.
#include "scenarios/interchange/aicb.hpp"

#include <optional>

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void aicb(std::string_view input) {
  static const Library library;
  for (const char* model : {"", "llama3-8b"}) {
    answered([&] {
      const AicbImport imported =
          import_aicb(std::string(input), "fuzzed", "workload.txt", {model, "hgx-h100", 1}, library);
      Document document = Document::parse(imported.yaml, "scenario.yaml");
      (void)read_scenario(document, library);
    });
  }
}

}  // namespace runcast::fuzz
