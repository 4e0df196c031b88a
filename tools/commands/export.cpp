// export: a scenario as Megatron-LM's options, or a script that runs a study in parts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scenarios/interchange/megatron.hpp"
#include "scenarios/shard.hpp"
#include "tools/commands/simulate.hpp"

namespace runcast {
namespace {

constexpr std::int64_t kShards = 16, kMostShards = 100'000;

std::string this_program() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "runcast" : path.string();
}

using Json = nlohmann::ordered_json;

Answer export_megatron_options(const Invocation& invocation, const std::string& argument) {
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

using ShardScript = std::string (*)(const std::string& program, const std::string& study,
                                    const std::string& results, std::int64_t shards);

template <ShardScript script_of>
Answer export_shards(const Invocation& invocation, const std::string& argument) {
  const Arguments& arguments = invocation.arguments;
  if (arguments.has("set")) throw ConfigError("export: a study has its own `set`; --set belongs to megatron");
  const std::filesystem::path study = std::filesystem::absolute(argument);
  const std::string text = read_text(study.string(), "STUDY");
  Document document = Document::parse(text, study.string());
  const Study read =
      read_study(document, text, invocation.library);  // a wrong study is told now, not by each job
  const std::int64_t shards =
      arguments.has("shards") ? whole_number(arguments.last("shards"), "shards", 1, kMostShards) : kShards;
  const std::string results = arguments.has("results")
                                  ? std::filesystem::absolute(arguments.last("results")).string()
                                  : std::filesystem::path(study).replace_extension(".jsonl").string();
  const std::string script = script_of(this_program(), study.string(), results, shards);
  return Answer(Json{{"schema_version", 1}, {"points", read.count}, {"shards", shards}, {"script", script}},
                script);
}

// What can be exported, each with its function.
struct Export {
  std::string_view kind;
  Answer (*answer)(const Invocation&, const std::string& argument);
};
constexpr std::array<Export, 3> kExports{{{"megatron", export_megatron_options},
                                          {"slurm", export_shards<slurm_script>},
                                          {"parallel", export_shards<parallel_script>}}};

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
