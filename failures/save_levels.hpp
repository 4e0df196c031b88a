// The saves of one run at all levels. Positions are work: ns of normal step time.
// Strides are whole steps, and each level's is a whole number of the next faster one's; a save at a level is
// one of all faster levels too. So the saves of a run without trouble repeat in cycles of cycles:
//   cycle of level l = stride_l / stride_{l-1} cycles of level l-1, and the block of level l
// and any number of whole cycles is one jump. Only the last saves of the faster levels are remembered there:
// their older ones are overwritten.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "failures/checkpoint.hpp"
#include "failures/save_history.hpp"
#include "sim/units.hpp"

namespace runcast {

using Work = Duration;  // ns of normal step time

// The grid of steps at one stretch of the run.
struct StepGrid {
  Work begin, end, step;
  Work floor(Work p) const { return begin + step * ((p - begin).ns / step.ns); }
  Work ceil(Work p) const { return floor(p) == p ? p : floor(p) + step; }
};

class SaveLevels {
 public:
  struct Level {
    Duration block, persist, load;
    Work interval, stride, next;  // next: position of the next save
    CheckpointLevel plan;
    SaveHistory history;
  };

  // `grids`: the phases of the run, end to end. `load`: the user's own time for the durable level.
  SaveLevels(const CheckpointPlan& plan, std::optional<Seconds> load, std::vector<StepGrid> grids);

  std::size_t size() const { return levels_.size(); }
  const Level& level(std::size_t i) const { return levels_[i]; }
  Level& level(std::size_t i) { return levels_[i]; }
  Level& durable() { return levels_.back(); }
  const Level& durable() const { return levels_.back(); }

  // Strides on this grid of steps; where the next saves are is left.
  void set_grid(const StepGrid& grid);
  // Each level's next save, an interval after its newest one, and after `position`.
  void place(Work position);
  Work next() const;
  // The slowest level that is due at `position`; -1: none.
  int due(Work position) const;
  Duration block(std::size_t slowest) const;  // of a save of this level and all faster ones

  // Saves of level `slowest` and all faster ones are written at `now`; `reachable` says whether storage takes them.
  void written(std::size_t slowest, Work position, Time now, bool reachable);

  // One jump over whole cycles that begin at `position`.
  struct Jump {
    std::size_t level = 0;
    std::int64_t cycles = 0, saves = 0;
    Work work;                  // in all
    Duration compute, blocked;  // in all
  };
  struct Pace {
    double factor;    // wall time over work
    Duration extra;   // of each durable cycle: what persisting slows
    bool whole_only;  // extra > 0 and the present one is not at its begin: only faster levels jump
    bool same_cycles(const Pace& other) const { return factor == other.factor && extra == other.extra; }
  };
  // Cycles that end before `limit` (work) and within `left` (wall); none: cycles = 0.
  Jump jump(Work position, Work limit, Duration left, const Pace& pace);
  // Notes what a jump wrote; `now` is its begin.
  void jumped(const Jump& jump, Work position, Time now, const Pace& pace, bool reachable);

 private:
  struct Cycle {
    Duration compute, blocked;
    std::int64_t saves = 0;
    Duration wall() const { return compute + blocked; }
  };
  // [level]; kept until the pace or the grid is another: most jumps follow one of the same pace.
  const std::vector<Cycle>& cycles(const Pace& pace);
  Work boundary(Work position) const;  // of steps, the first at or after

  std::vector<Level> levels_;
  std::vector<StepGrid> grids_;
  std::vector<Cycle> cycles_;
  Pace cycles_of_{0, {}, false};
};

}  // namespace runcast
