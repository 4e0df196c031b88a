// Launch scripts of Megatron-LM: shell words, options, and the scenario that they become. A legal one can be exported
// again.
#include "scenarios/interchange/megatron.hpp"

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void megatron(std::string_view input) {
  static const Library library;
  answered([&] {
    const MegatronImport imported = import_megatron(std::string(input), "fuzzed", "launch.sh", "hgx-h100", 0);
    Document document = Document::parse(imported.yaml, "scenario.yaml");
    (void)export_megatron(read_scenario(document, library));
  });
}

}  // namespace runcast::fuzz
