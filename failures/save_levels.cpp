// See the header.
#include "failures/save_levels.hpp"

#include <algorithm>
#include <utility>

#include "failures/limits.hpp"

namespace runcast {

namespace {

// d x n, at most kLongestSpan.
Duration repeated(Duration d, std::int64_t n) { return d.ns > kLongestSpan.ns / n ? kLongestSpan : d * n; }

}  // namespace

SaveLevels::SaveLevels(const CheckpointPlan& plan, std::optional<Seconds> load, std::vector<StepGrid> grids)
    : grids_(std::move(grids)) {
  for (const CheckpointLevel& level : plan.levels)
    levels_.push_back({to_clock(level.block),
                       to_clock(level.persist),
                       to_clock(level.load),
                       std::max(Work{1}, to_clock(level.interval)),
                       {},
                       {},
                       level,
                       {}});
  if (load) levels_.back().load = to_clock(*load);
}

// The fastest level rounds up to whole steps; the others to the nearest whole number of the level before, but
// never below what a save needs to be done.
void SaveLevels::set_grid(const StepGrid& grid) {
  Work unit = grid.step;
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    std::int64_t n = (level.interval.ns + unit.ns - 1) / unit.ns;
    const Duration least = std::max(level.block, level.persist);
    if (i > 0 && n > 1 && 2 * level.interval.ns < (2 * n - 1) * unit.ns && unit.ns * (n - 1) >= least.ns) --n;
    level.stride = unit * std::max<std::int64_t>(1, n);
    unit = level.stride;
  }
  cycles_.clear();
}

Work SaveLevels::boundary(Work position) const {
  std::size_t i = 0;
  while (i + 1 < grids_.size() && position >= grids_[i].end) ++i;
  return position >= grids_.back().end ? grids_.back().end : grids_[i].ceil(position);
}

void SaveLevels::place(Work position) {
  for (Level& level : levels_)
    level.next = boundary(std::max(level.history.newest() + level.stride, position + Work{1}));
}

Work SaveLevels::next() const {
  Work first = levels_.front().next;
  for (const Level& level : levels_) first = std::min(first, level.next);
  return first;
}

int SaveLevels::due(Work position) const {
  for (std::size_t i = levels_.size(); i-- > 0;)
    if (levels_[i].next == position) return static_cast<int>(i);
  return -1;
}

Duration SaveLevels::block(std::size_t slowest) const {
  Duration sum;
  for (std::size_t i = 0; i <= slowest; ++i) sum += levels_[i].block;
  return sum;
}

void SaveLevels::written(std::size_t slowest, Work position, Time now, bool reachable) {
  for (std::size_t i = 0; i <= slowest; ++i) {
    Level& level = levels_[i];
    if (reachable || level.plan.kind != TierKind::parallel_fs)
      level.history.add(position, now + level.persist);
    level.next = boundary(position + level.stride);
  }
}

const std::vector<SaveLevels::Cycle>& SaveLevels::cycles(const Pace& pace) {
  if (!cycles_.empty() && cycles_of_.same_cycles(pace)) return cycles_;
  cycles_of_ = pace;
  cycles_.clear();
  Cycle inner{scaled(levels_[0].stride, pace.factor), {}, 0};
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    const std::int64_t n = i == 0 ? 1 : levels_[i].stride.ns / levels_[i - 1].stride.ns;
    Cycle cycle{repeated(inner.compute, n), repeated(inner.blocked, n) + levels_[i].block,
                inner.saves * n + 1};
    if (i + 1 == levels_.size()) cycle.blocked += pace.extra;
    cycles_.push_back(cycle);
    inner = cycle;
  }
  return cycles_;
}

SaveLevels::Jump SaveLevels::jump(Work position, Work limit, Duration left, const Pace& pace) {
  std::size_t fresh = 0;  // levels whose next save is a whole stride away
  while (fresh < levels_.size() && levels_[fresh].next - position == levels_[fresh].stride) ++fresh;
  if (fresh == levels_.size() && pace.whole_only) --fresh;
  if (fresh == 0) return {};
  const std::vector<Cycle>& all = cycles(pace);
  for (std::size_t l = fresh; l-- > 0;) {
    Work end = limit;
    for (std::size_t i = l + 1; i < levels_.size(); ++i) end = std::min(end, levels_[i].next);
    const Cycle& cycle = all[l];
    const std::int64_t n =
        std::min((end - position - Work{1}).ns / levels_[l].stride.ns, left.ns / cycle.wall().ns);
    if (n < (l == 0 ? 2 : 1)) continue;
    return {l, n, cycle.saves * n, levels_[l].stride * n, cycle.compute * n, cycle.blocked * n};
  }
  return {};
}

void SaveLevels::jumped(const Jump& jump, Work position, Time now, const Pace& pace, bool reachable) {
  const std::vector<Cycle>& all = cycles(pace);
  const Work end = position + jump.work;
  const Time done = now + jump.compute + jump.blocked;
  for (std::size_t i = 0; i <= jump.level; ++i) {
    Level& level = levels_[i];
    const bool kept = reachable || level.plan.kind != TierKind::parallel_fs;
    const Work stride = level.stride;
    const Duration wall = all[i].wall();
    if (i == jump.level) {
      if (kept) level.history.add(position + stride, now + wall + level.persist, jump.cycles, stride, wall);
    } else if (kept) {
      // The saves within the last cycle of the level above, then the one that ends it.
      const Level& above = levels_[i + 1];
      const std::int64_t n = above.stride.ns / stride.ns;
      const Time begin = done - all[i + 1].wall();
      if (n > 1)
        level.history.add(end - above.stride + stride, begin + wall + level.persist, n - 1, stride, wall);
      level.history.add(end, done + level.persist);
    }
    level.next = boundary(end + stride);
  }
}

}  // namespace runcast
