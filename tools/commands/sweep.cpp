// `runcast sweep STUDY`: a study's points, written as they are done.
#include "scenarios/sweep.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tools/commands/simulate.hpp"
#include "tools/report/output.hpp"
#include "tools/report/screen.hpp"

namespace runcast {

namespace {

constexpr std::int64_t kMostListed = 100'000;

// Every point was refused: a key of the study is misspelt rather than a value illegal.
bool all_failed(const nlohmann::ordered_json& summary) {
  if (!summary.contains("rows") || summary["rows"].empty()) return false;
  return std::ranges::all_of(summary["rows"], [](const auto& row) {
    return row.contains("error") && row["error"].is_string() &&
           !row["error"].template get<std::string>().empty();
  });
}

}  // namespace

Answer sweep_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  const std::string path = arguments.positionals.front();
  std::error_code none;
  if (!std::filesystem::exists(path, none) && invocation.library.find("runs", path) != nullptr)
    throw ConfigError(
        fmt::format("STUDY: {0} is a scenario of the library; a study is a YAML file with 'scenario: {0}', "
                    "keys and results",
                    path));
  const std::string text = read_text(path, "STUDY");
  Document document = Document::parse(text, path);
  Study study = read_study(document, text, invocation.library);
  for (const std::string& set : arguments.all("set")) study.source.sets.push_back(set);
  if (arguments.has("set"))
    study.hash = hash_of(fmt::format("{}\n{}", study.hash, fmt::join(study.source.sets, "\n")));
  const Shard shard = shard_named(arguments.last("shard"), [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  });
  SweepProgress progress;
  std::string results;
  if (!arguments.has("dry-run")) {
    results = arguments.has("results") ? arguments.last("results")
                                       : std::filesystem::path(path).replace_extension(".jsonl").string();
    results = shard_path(results, shard);
    const StopOnInterrupt stop;
    Progress line("points", arguments.has("quiet"));
    progress = run_sweep(study, shard, results, invocation.library, experiment_options(invocation, line),
                         StopOnInterrupt::asked);
  } else {
    progress.points = (study.count - shard.index + shard.of - 1) / shard.of;
    if (progress.points > kMostListed)
      throw ConfigError(fmt::format("--dry-run lists at most {} points, not {}; a part of them: --shard 1/{}",
                                    kMostListed, progress.points, study.count / kMostListed + 1));
  }
  nlohmann::ordered_json summary = sweep_document(study, shard, results, progress);
  std::string screen = sweep_screen(summary, invocation.style);
  const bool sound = shard.of > 1 || !all_failed(summary);  // a part may well have the illegal points alone
  Answer answer(std::move(summary), std::move(screen), sound);
  answer.interrupted = !progress.complete;
  return answer;
}

}  // namespace runcast
