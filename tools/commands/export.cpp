// export: a scenario in the form that other programs read. megatron: the arguments of Megatron-LM.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <nlohmann/json.hpp>

#include "scenarios/interchange/megatron.hpp"
#include "sim/error.hpp"
#include "tools/commands/simulate.hpp"

namespace runcast {
namespace {

using Json = nlohmann::ordered_json;

Answer export_megatron_arguments(const Invocation& invocation, const std::string& argument) {
  Document document = open_scenario(argument, invocation);
  const Scenario scenario = read_scenario(document, invocation.library);
  const MegatronExport out = export_megatron(scenario);
  Json json = {
      {"schema_version", 1}, {"name", scenario.name}, {"options", out.options}, {"notes", out.notes}};
  std::string screen;
  for (const std::string& note : out.notes) screen += "# " + note + '\n';
  for (const std::string& option : out.options) screen += option + '\n';
  return Answer(std::move(json), std::move(screen));
}

// What can be exported, each with its function.
struct Export {
  std::string_view kind;
  Answer (*answer)(const Invocation&, const std::string& argument);
};
constexpr std::array<Export, 1> kExports{{{"megatron", export_megatron_arguments}}};

}  // namespace

Answer export_command(const Invocation& invocation) {
  const std::string& kind = invocation.arguments.positionals[0];
  std::vector<std::string> kinds;
  for (const Export& row : kExports) {
    if (row.kind == kind) return row.answer(invocation, invocation.arguments.positionals[1]);
    kinds.emplace_back(row.kind);
  }
  const std::string near = nearest_name(kind, kinds);
  throw ConfigError(fmt::format("export: unknown kind '{}'{}; legal: {}", kind,
                                near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(kinds, " ")));
}

}  // namespace runcast
