// Follows each rank's slots and keeps the moments that nothing covers.
#include "parallelism/live_chunks.hpp"

#include <algorithm>

#include "parallelism/rank_parameters.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

bool covers(const std::vector<int>& a, const std::vector<int>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] < b[i]) return false;
  return true;
}

class Follower {
 public:
  explicit Follower(LiveRank& rank) : rank_(rank), live_(rank.stages.size()), last_(rank.stages.size()) {}

  void run(const Slot& slot) {
    const std::size_t here = place(slot.stage);
    const bool fused = slot.pass == Pass::forward_backward;
    if (slot.pass == Pass::forward || fused) change(here, 1);
    note(here);
    if (fused) {
      const std::size_t back = place(slot.backward_stage);
      note(back);
      change(back, -1);
    } else if (slot.pass == Pass::backward || slot.pass == Pass::weight_gradient) {
      change(here, -1);
    }
  }
  bool empty() const { return sum_ == 0; }

 private:
  std::size_t place(int stage) const {
    return static_cast<std::size_t>(std::ranges::find(rank_.stages, stage) - rank_.stages.begin());
  }
  void change(std::size_t at, int by) {
    live_[at] += by;
    sum_ += by;
  }
  // The steady state repeats itself: the moment that covered the stage's last one covers the next, mostly.
  void note(std::size_t running) {
    rank_.most = std::max(rank_.most, sum_);
    std::vector<LiveMoment>& moments = rank_.moments;
    if (last_[running] < moments.size() && moments[last_[running]].running == running &&
        covers(moments[last_[running]].live, live_))
      return;
    for (std::size_t i = 0; i < moments.size(); ++i)
      if (moments[i].running == running && covers(moments[i].live, live_)) {
        last_[running] = i;
        return;
      }
    std::erase_if(moments,
                  [&](const LiveMoment& m) { return m.running == running && covers(live_, m.live); });
    last_[running] = moments.size();
    moments.push_back({running, live_});
  }

  LiveRank& rank_;
  std::vector<int> live_;
  std::vector<std::size_t> last_;  // [running stage] the moment that covered it last
  int sum_ = 0;
};

}  // namespace

LiveChunks live_chunks(const PipelineSchedule& schedule) {
  LiveChunks out{schedule.stages, stage_copies(schedule), {}};
  for (int rank = 0; rank < schedule.ranks; ++rank) {
    LiveRank& live = out.ranks.emplace_back();
    live.stages = stages_of_rank(schedule, rank);
    Follower follower(live);
    for (const Slot& slot : schedule.slots[static_cast<std::size_t>(rank)]) follower.run(slot);
    INVARIANT(
        follower.empty());  // each forward has had its backward, each input gradient its weight gradient
  }
  return out;
}

}  // namespace runcast
