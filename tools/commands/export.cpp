// export: a scenario as Megatron-LM's options or as Chakra execution traces, or a script that runs a study in parts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scenarios/experiment.hpp"
#include "scenarios/interchange/chakra.hpp"
#include "scenarios/interchange/megatron.hpp"
#include "scenarios/shard.hpp"
#include "tools/commands/kinds.hpp"
#include "tools/commands/option_values.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/commands/trace.hpp"
#include "tools/report/number.hpp"
#include "tools/report/output.hpp"
#include "tools/report/progress.hpp"

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

constexpr double kMostChakraBytes = 2e9;  // of all ranks' traces; a simulator reads them into memory

// PREFIX.RANK.et of each rank, and PREFIX.json with the communicator groups.
Answer export_chakra(const Invocation& invocation, const std::string& argument) {
  const Arguments& arguments = invocation.arguments;
  Document document = open_scenario(argument, invocation);
  const Scenario scenario = read_scenario(document, invocation.library);
  const std::string prefix = arguments.has("prefix") ? arguments.last("prefix") : "chakra";
  Progress progress("ranks", true);
  const ExperimentOptions options = experiment_options(invocation, progress);
  const StepTimeline timeline = timeline_of(scenario, options.seed, false, TimelineLevel::op);
  const ChakraExport chakra(timeline);
  const std::vector<RankId> ranks =
      ranks_named(arguments.has("ranks") ? arguments.last("ranks") : "all", timeline.layout());
  const double expected =
      static_cast<double>(chakra.trace(ranks.front()).size()) * static_cast<double>(ranks.size());
  if (expected > kMostChakraBytes)
    throw ConfigError(
        fmt::format("export: the traces of {} ranks would take about {}; name fewer by --ranks, or "
                    "export fewer micro-batches (--set training.global_batch=N)",
                    ranks.size(), bytes_text(expected)));
  std::error_code none;  // a folder that cannot be made is told by the first file
  if (const auto folder = std::filesystem::path(prefix).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, none);
  double bytes = 0;
  for (const RankId rank : ranks) {
    const std::string trace = chakra.trace(rank);
    Output(fmt::format("{}.{}.et", prefix, rank.value)).finish(trace);
    bytes += static_cast<double>(trace.size());
  }
  Output(prefix + ".json").finish(chakra.groups());
  const double compute = to_seconds(chakra.compute(timeline.last())).value;
  Json json = {{"schema_version", 1},
               {"name", scenario.name},
               {"prefix", prefix},
               {"ranks", ranks.size()},
               {"bytes", bytes},
               {"compute_s", compute},
               {"step_s", to_seconds(timeline.step().time).value}};
  std::string screen = fmt::format(
      "wrote {0}.RANK.et for {1} of {2} ranks ({3}) and {0}.json\n"
      "  the rank that ends last computes {4} of its step of {5}; communication is for the simulator to "
      "time\n"
      "  astra-sim: --workload-configuration={0} --comm-group-configuration={0}.json\n",
      prefix, ranks.size(), timeline.layout().world(), bytes_text(bytes), time_text(compute),
      time_text(to_seconds(timeline.step().time).value));
  if (scenario.training.sharding.shards_parameters())
    screen += "  what sharded parameters move (zero3, hsdp) is inside the compute, not a node of its own\n";
  return Answer(std::move(json), std::move(screen));
}

using ShardScript = std::string (*)(const std::string& program, const std::string& study,
                                    const std::string& results, std::int64_t shards);

template <ShardScript script_of>
Answer export_shards(const Invocation& invocation, const std::string& argument) {
  const Arguments& arguments = invocation.arguments;
  if (arguments.has("set"))
    throw ConfigError("export: a study has its own `set`; --set belongs to megatron and chakra");
  std::error_code none;
  if (!std::filesystem::exists(argument, none) && invocation.library.find("runs", argument) != nullptr)
    throw ConfigError(
        fmt::format("STUDY: {0} is a scenario of the library; a study is a YAML file with 'scenario: {0}', "
                    "keys and results",
                    argument));
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
  std::string_view options;  // that it takes
};
constexpr std::array<Export, 4> kExports{{{"megatron", export_megatron_options, ""},
                                          {"chakra", export_chakra, "prefix ranks"},
                                          {"slurm", export_shards<slurm_script>, "shards results"},
                                          {"parallel", export_shards<parallel_script>, "shards results"}}};

}  // namespace

std::vector<std::string> export_kinds() {
  std::vector<std::string> kinds;
  for (const Export& row : kExports) kinds.emplace_back(row.kind);
  return kinds;
}

Answer export_command(const Invocation& invocation) {
  const std::string& kind = invocation.arguments.positionals[0];
  for (const Export& row : kExports) {
    if (row.kind == kind) {
      refuse_other_options(invocation, "export", kind, row.options, {"shards", "results", "prefix", "ranks"});
      return row.answer(invocation, invocation.arguments.positionals[1]);
    }
  }
  refuse_kind("export", kind, export_kinds());
}

}  // namespace runcast
