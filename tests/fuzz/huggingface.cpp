// config.json of Hugging Face, and the model that it becomes: what was imported can be read and counted, or is refused.
#include "scenarios/interchange/huggingface.hpp"

#include "parallelism/model.hpp"
#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void huggingface(std::string_view input) {
  answered([&] {
    const ImportedModel imported = import_huggingface(std::string(input), "fuzzed", "config.json");
    Document document = Document::parse(imported.yaml, "model.yaml");
    const Model model = read_model(document.root(), "");
    document.finish();
    (void)count_parameters(model);
  });
}

}  // namespace runcast::fuzz
