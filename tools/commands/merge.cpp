// `runcast merge FILE...`: the results of a study's shards as one file.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/shard.hpp"
#include "tools/commands/simulate.hpp"
#include "tools/report/output.hpp"

namespace runcast {

Answer merge_command(const Invocation& invocation) {
  const Arguments& arguments = invocation.arguments;
  if (!arguments.has("results"))
    throw ConfigError("runcast merge: give the file to write: --results FILE.jsonl");
  std::vector<MergeInput> files;
  for (const std::string& path : arguments.positionals) files.push_back({path, read_text(path, "merge")});
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
