// `runcast export slurm|parallel STUDY`: a script that runs a study in parts.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

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

}  // namespace

Answer export_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const std::string& kind = arguments.positionals[0];
  if (kind != "slurm" && kind != "parallel")
    throw ConfigError(fmt::format("runcast export: '{}' is none of: slurm, parallel", kind));
  const std::filesystem::path study = std::filesystem::absolute(arguments.positionals[1]);
  const std::string text = read_text(study.string(), "STUDY");
  Document document = Document::parse(text, study.string());
  const Study read =
      read_study(document, text, invocation.library);  // a wrong study is told now, not by each job
  const std::int64_t shards =
      arguments.has("shards") ? whole_number(arguments.last("shards"), "shards", 1, kMostShards) : kShards;
  const std::string results = arguments.has("results")
                                  ? std::filesystem::absolute(arguments.last("results")).string()
                                  : std::filesystem::path(study).replace_extension(".jsonl").string();
  const std::string script = kind == "slurm"
                                 ? slurm_script(this_program(), study.string(), results, shards)
                                 : parallel_script(this_program(), study.string(), results, shards);
  return Answer(
      nlohmann::ordered_json{
          {"schema_version", 1}, {"points", read.count}, {"shards", shards}, {"script", script}},
      script);
}

}  // namespace runcast
