// `runcast schema [KIND]`: the JSON Schema of scenarios, studies and library entries; with --format md, every key as a
// table to read.
#include <nlohmann/json.hpp>

#include "scenarios/schema.hpp"
#include "tools/commands/command.hpp"
#include "tools/commands/option_values.hpp"

namespace runcast {

Answer schema_command(const Invocation& invocation) {
  const auto& words = invocation.arguments.positionals;
  const std::string name = words.empty() ? "scenario" : words.front();
  std::vector<std::string> names;
  for (const SchemaKind& kind : schema_kinds()) {
    names.emplace_back(kind.name);
    if (kind.name != name) continue;
    nlohmann::ordered_json schema = json_schema(kind, invocation.library);
    std::string text = schema.dump(2) + "\n";
    Answer answer(std::move(schema), std::move(text));
    answer.markdown = schema_reference();
    return answer;
  }
  refuse_kind("schema", name, names);
}

}  // namespace runcast
