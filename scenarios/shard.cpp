// Shards by name and by environment, and the merge.
#include "scenarios/shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "sim/error.hpp"

namespace runcast {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostShards = 1'000'000;

std::optional<std::int64_t> number(const std::string& text) {
  if (text.empty() || text.size() > 9 ||
      !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }))
    return std::nullopt;
  return std::stoll(text);
}

// Folds one launcher's rank and size into the shard: an array of jobs of several tasks has both.
bool fold(Shard& shard, const std::string& rank, const std::string& size, std::int64_t first = 0) {
  const auto r = number(rank), n = number(size);
  if (!r || !n || *n < 1 || *r < first || *r - first >= *n) return false;
  shard = {shard.index * *n + (*r - first), shard.of * *n};
  return true;
}

struct Reader {
  const MergeInput& file;
  std::size_t at = 0;
  // The next whole line; a last one without its end is a write that was cut short.
  std::optional<std::string> line() {
    const std::size_t end = file.text.find('\n', at);
    if (end == std::string::npos) return std::nullopt;
    std::string text = file.text.substr(at, end - at);
    at = end + 1;
    return text;
  }
};

Json parsed(const std::string& line, const std::string& path) {
  Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded() || !json.is_object())
    throw ConfigError(fmt::format("{}: it is no file of results", path));
  return json;
}

// A number from 0 as a count; nothing when it is missing, or is anything else.
std::optional<std::int64_t> whole_number(const Json& object, const char* key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_unsigned()) return std::nullopt;
  const auto value = at->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::string list_text(const std::vector<std::int64_t>& indices) {
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(indices.size(), 8); ++i)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", indices[i]);
  return indices.size() > 8 ? fmt::format("{} and {} more", text, indices.size() - 8) : text;
}

// "out.*-of-8.jsonl": the files of all shards, for a shell.
std::string pattern_of(const std::string& results, std::int64_t shards) {
  std::string pattern = shard_path(results, {0, shards});
  const std::string first = fmt::format(".1-of-{}", shards);
  if (const std::size_t at = pattern.rfind(first); at != std::string::npos) pattern.replace(at, 2, ".*");
  return pattern;
}

}  // namespace

Shard shard_named(const std::string& text, const std::function<std::string(const char*)>& environment) {
  Shard shard;
  if (text.empty()) return shard;
  if (text == "auto") {
    bool any = false;
    const std::string array = environment("SLURM_ARRAY_TASK_ID");
    if (!array.empty()) {
      const auto first = number(environment("SLURM_ARRAY_TASK_MIN"));
      if (!fold(shard, array, environment("SLURM_ARRAY_TASK_COUNT"), first.value_or(0)))
        throw ConfigError(
            "--shard auto: SLURM_ARRAY_TASK_ID is set, but the array is not numbered one by one");
      any = true;
    }
    const bool open_mpi = !environment("OMPI_COMM_WORLD_RANK").empty();
    any |= open_mpi ? fold(shard, environment("OMPI_COMM_WORLD_RANK"), environment("OMPI_COMM_WORLD_SIZE"))
                    : fold(shard, environment("SLURM_PROCID"), environment("SLURM_NTASKS")) ||
                          fold(shard, environment("PMI_RANK"), environment("PMI_SIZE"));
    if (!any)
      throw ConfigError(
          "--shard auto: no launcher is seen: neither a Slurm array or step, nor Open MPI, nor PMI; write "
          "--shard i/N");
    return shard;
  }
  const std::size_t slash = text.find('/');
  const auto index = number(text.substr(0, slash));
  const auto of = slash == std::string::npos ? std::nullopt : number(text.substr(slash + 1));
  if (!index || !of || *of < 1 || *of > kMostShards || *index < 1 || *index > *of)
    throw ConfigError(fmt::format("--shard: '{}' is no shard; write i/N with i from 1 to N, or auto", text));
  return {*index - 1, *of};
}

std::string shard_path(const std::string& path, const Shard& shard) {
  if (shard.of == 1) return path;
  const std::size_t slash = path.rfind('/'), dot = path.rfind('.');
  const bool suffix = dot != std::string::npos && (slash == std::string::npos || dot > slash + 1);
  const std::size_t end = suffix ? dot : path.size();
  return fmt::format("{}.{}-of-{}{}", path.substr(0, end), shard.index + 1, shard.of, path.substr(end));
}

std::string header_line(const Study& study, std::uint64_t seed, const Shard& shard) {
  Json json = {{"study", study.hash}, {"version", RUNCAST_VERSION}, {"points", study.count}, {"seed", seed}};
  if (shard.of > 1) json["shard"] = fmt::format("{}/{}", shard.index + 1, shard.of);
  return json.dump();
}

Merged merged(const std::vector<MergeInput>& files) {
  std::optional<Json> header;
  std::map<std::int64_t, std::string> rows;
  std::vector<std::int64_t> twice, missing;
  for (const MergeInput& file : files) {
    Reader reader{file};
    const auto first = reader.line();
    Json own = parsed(first.value_or(""), file.path);
    if (!own.contains("study") || !whole_number(own, "points"))
      throw ConfigError(fmt::format("{}: its first line is not the header of a file of results", file.path));
    const auto points = whole_number(own, "points");
    own.erase("shard");
    if (!header) header = own;
    for (const auto& [key, value] : header->items())
      if (own.value(key, Json()) != value)
        throw ConfigError(fmt::format("{}: its {} is {}, but {} of {}", file.path, key,
                                      own.value(key, Json()).dump(), value.dump(), files.front().path));
    while (const auto line = reader.line()) {
      const Json row = parsed(*line, file.path);
      const auto found = whole_number(row, "index");
      if (!found) throw ConfigError(fmt::format("{}: a line has no index", file.path));
      const std::int64_t index = *found;
      if (index >= *points)
        throw ConfigError(
            fmt::format("{}: index {} is past the study's {} points", file.path, index, *points));
      if (!rows.emplace(index, *line).second) twice.push_back(index);
    }
  }
  if (!header) throw ConfigError("merge: no file is given");
  const auto points = (*header)["points"].get<std::int64_t>();
  for (std::int64_t i = 0; i < points && missing.size() < 1000; ++i)
    if (!rows.contains(i)) missing.push_back(i);
  if (!twice.empty()) throw ConfigError(fmt::format("merge: points are there twice: {}", list_text(twice)));
  if (!missing.empty())
    throw ConfigError(
        fmt::format("merge: points are missing: {}; run their shards again, they go on where they stopped",
                    list_text(missing)));
  Merged out{header->dump() + "\n", points};
  for (const auto& [index, line] : rows) out.text += line + "\n";
  return out;
}

std::string slurm_script(const std::string& program, const std::string& study, const std::string& results,
                         std::int64_t shards) {
  return fmt::format(
      "#!/bin/bash\n"
      "# {0} in {3} parts: sbatch this file; a part that was killed goes on where it stopped when it is run "
      "again.\n"
      "#SBATCH --job-name=runcast-sweep\n"
      "#SBATCH --array=1-{3}\n"
      "#SBATCH --ntasks=1\n"
      "#SBATCH --cpus-per-task=1\n"
      "set -e\n"
      "\"${{RUNCAST:-{1}}}\" sweep '{0}' --results '{2}' --shard auto -j \"${{SLURM_CPUS_PER_TASK:-1}}\" "
      "--quiet > /dev/null\n"
      "# When all parts are done:  {1} merge {4} --results '{2}'\n",
      study, program, results, shards, pattern_of(results, shards));
}

std::string parallel_script(const std::string& program, const std::string& study, const std::string& results,
                            std::int64_t shards) {
  return fmt::format(
      "#!/bin/bash\n"
      "# {0} in {3} parts by GNU parallel: one process a core; run it again to go on after an interruption.\n"
      "set -e\n"
      "runcast=\"${{RUNCAST:-{1}}}\"\n"
      "seq {3} | parallel --halt soon,fail=1 \"$runcast\" sweep '{0}' --results '{2}' --shard '{{}}/{3}' -j "
      "1 --quiet "
      "'>' /dev/null\n"
      "\"$runcast\" merge {4} --results '{2}'\n",
      study, program, results, shards, pattern_of(results, shards));
}

}  // namespace runcast
