// `runcast merge FILE...`: the results of a study's shards as one file.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/shard.hpp"
#include "sim/error.hpp"
#include "sim/source_text.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/output.hpp"

namespace runcast {

namespace {

std::string results_text(const std::string& path) {
  constexpr std::size_t kLargest = 256 << 20;  // twice that is held in memory
  std::string text = detail::file_text(path, kLargest);
  if (text.size() > kLargest)
    throw ConfigError(fmt::format("{}: is larger than {} MiB", path, kLargest >> 20));
  return text;
}

}  // namespace

Answer merge_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  if (!arguments.has("results"))
    throw ConfigError("runcast merge: give the file to write: --results FILE.jsonl");
  std::vector<MergeInput> files;
  for (const std::string& path : arguments.positionals) files.push_back({path, results_text(path)});
  Output output(arguments.last("results"));
  const Merged all = merged(files);
  output.finish(all.text);
  nlohmann::ordered_json document = {{"schema_version", 1},
                                     {"files", arguments.positionals},
                                     {"points", all.points},
                                     {"results_file", arguments.last("results")}};
  std::string screen =
      fmt::format("{} points of {} files are in {}\n", all.points, files.size(), arguments.last("results"));
  return Answer(std::move(document), std::move(screen));
}

}  // namespace runcast
