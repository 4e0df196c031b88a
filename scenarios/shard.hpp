// One study over several processes: which points are whose, and their files put together again.
//   --shard 3/8    the points with index = 2 modulo 8
//   --shard auto   what the launcher says: a Slurm array (SLURM_ARRAY_TASK_ID, _MIN, _COUNT) and its tasks
//                  (SLURM_PROCID, SLURM_NTASKS), Open MPI (OMPI_COMM_WORLD_RANK, _SIZE), PMI (PMI_RANK, PMI_SIZE)
// Files are JSON lines: a header with the study's hash, version and number of points, then points in the order of their
// index. Merged files are byte for byte what one process writes.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "scenarios/study.hpp"

namespace runcast {

struct Shard {
  std::int64_t index = 0, of = 1;  // index from 0
  bool has(std::int64_t point) const { return point % of == index; }
};

// `environment`: the value of a variable, "" when it is not set. ConfigError for text that is no shard.
Shard shard_named(const std::string& text, const std::function<std::string(const char*)>& environment);
// "out.jsonl" -> "out.3-of-8.jsonl"; the same for the only shard.
std::string shard_path(const std::string& path, const Shard& shard);

// The first line of a file of results.
std::string header_line(const Study&, std::uint64_t seed, const Shard&);

// The merged text of files written for all shards. ConfigError for files of different studies or versions, and for
// points that are missing or twice there, each named.
struct MergeInput {
  std::string path, text;
};
struct Merged {
  std::string text;
  std::int64_t points = 0;
};
Merged merged(const std::vector<MergeInput>& files);

// A script that runs a study in `shards` parts and merges them: for Slurm (sbatch) or GNU parallel.
std::string slurm_script(const std::string& program, const std::string& study, const std::string& results,
                         std::int64_t shards);
std::string parallel_script(const std::string& program, const std::string& study, const std::string& results,
                            std::int64_t shards);

}  // namespace runcast
