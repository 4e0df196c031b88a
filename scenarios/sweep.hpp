// A study done: each point's scenario simulated, its row written as soon as all rows before it are. The file is at each
// moment the beginning of the whole one, so that a run that was killed goes on where it stopped and ends with the same
// bytes; a line that was cut short is done again.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "scenarios/experiment.hpp"
#include "scenarios/shard.hpp"

namespace runcast {

// {"index", the point's keys, its results, "error"}: a point that is no legal scenario says why.
nlohmann::ordered_json sweep_row(const Study&, std::int64_t index, const Library&, const ExperimentOptions&);

struct SweepProgress {
  std::int64_t points = 0, done = 0, resumed = 0;  // of this shard
  bool complete = true;
};
// Goes on with the file at `path`, or begins it. `stop`: asked between points. ConfigError when the file is of another
// study, seed, version or shard.
SweepProgress run_sweep(const Study&, const Shard&, const std::string& path, const Library&,
                        const ExperimentOptions&, const std::function<bool()>& stop);

// What the file holds, as a document with `rows`; no file: the points alone (--dry-run).
nlohmann::ordered_json sweep_document(const Study&, const Shard&, const std::string& path,
                                      const SweepProgress&);

}  // namespace runcast
