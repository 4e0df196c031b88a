// What a schedule says about memory: at each moment of a rank, which stage runs and how many micro-batches of each of
// the rank's stages are alive. A chunk lives from the start of its forward pass to the end of its backward pass, and
// to the end of its weight gradient where that runs apart: its inputs are the layers' inputs.
// Only moments that can be the fullest are kept: those that no other moment with the same running stage covers.
// Knows no bytes, so that one profile serves every layout with this schedule.
#pragma once

#include <cstddef>
#include <vector>

#include "parallelism/pipeline_schedule.hpp"

namespace runcast {

struct LiveMoment {
  std::size_t running = 0;  // index into the rank's stages
  std::vector<int> live;    // micro-batches alive, by the rank's stages
};

struct LiveRank {
  std::vector<int> stages;  // all directions, in the order of the placement
  std::vector<LiveMoment> moments;
  int most = 0;  // chunks alive at once
};

struct LiveChunks {
  int stages = 1, copies = 1;
  std::vector<LiveRank> ranks;
};
LiveChunks live_chunks(const PipelineSchedule&);

}  // namespace runcast
