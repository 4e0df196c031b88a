// Threads of a trace: each stream of a rank (messages: each peer's) has one, and further ones for slices that overlap
// without lying in each other.
#pragma once

#include <string>
#include <vector>

#include "parallelism/step_timeline.hpp"

namespace runcast {

class Lanes {
 public:
  struct Lane {
    int tid = 0;
    std::string name;
  };
  explicit Lanes(const RankTimeline&);  // which has slices by stream and start
  const std::vector<Lane>& all() const { return lanes_; }
  int tid(std::size_t slice) const { return tid_[slice]; }

 private:
  std::vector<Lane> lanes_;
  std::vector<int> tid_;  // [slice]
};

}  // namespace runcast
