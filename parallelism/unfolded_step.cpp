// From the parts of a folded step to a plan for every rank, and from its times back to the accounts of a step.
#include "parallelism/unfolded_step.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <tuple>

#include "parallelism/step_work.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

// ---- who meets whom -------------------------------------------------------------------------------------

struct Coordinates {
  int tensor = 0, context = 0, data = 0;
};

// The ranks of a pipeline rank, cell by cell.
struct Members {
  std::vector<Coordinates> at;  // [member]
  int cells = 1;
};

class Unions {
 public:
  explicit Unions(std::size_t size) : parent_(size) { std::iota(parent_.begin(), parent_.end(), 0U); }
  std::size_t root(std::size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(std::size_t a, std::size_t b) {
    const std::size_t x = root(a), y = root(b);
    parent_[std::max(x, y)] = std::min(x, y);
  }

 private:
  std::vector<std::size_t> parent_;
};

// Members in rank order that meet inside a pass: collectives of tensor, context and expert groups, and of the data
// group where parameters are sharded.
Members members_of(const StepInput& in) {
  const Layout& l = *in.layout;
  std::vector<Coordinates> all;
  for (int d = 0; d < l.data; ++d)
    for (int c = 0; c < l.context; ++c)
      for (int t = 0; t < l.tensor; ++t) all.push_back({t, c, d});
  const auto rank = [&](const Coordinates& m) { return l.rank(m.tensor, m.context, 0, m.data); };
  std::ranges::sort(all, {}, rank);
  Unions unions(all.size());
  // First member with a key meets all later ones with it.
  const auto join_by = [&](auto key) {
    std::map<decltype(key(all[0], std::size_t{})), std::size_t> first;
    for (std::size_t i = 0; i < all.size(); ++i)
      unions.join(first.emplace(key(all[i], i), i).first->second, i);
  };
  join_by([](const Coordinates& m, std::size_t) { return std::pair(m.context, m.data); });
  join_by([](const Coordinates& m, std::size_t) { return std::pair(m.tensor, m.data); });
  if (in.model->experts)
    join_by([&](const Coordinates&, std::size_t i) { return i / index(l.expert * l.expert_tensor); });
  if (in.training->sharding.shards_parameters())
    join_by([](const Coordinates& m, std::size_t) { return m.tensor; });
  std::map<std::size_t, std::size_t> sizes;
  for (std::size_t i = 0; i < all.size(); ++i) ++sizes[unions.root(i)];
  Members members;
  members.cells = static_cast<int>(sizes.size());
  for (const auto& [root, size] : sizes)
    if (size != sizes.begin()->second) members.cells = 1;  // groups that overlap unevenly: one cell
  for (const auto& [root, size] : sizes)
    for (std::size_t i = 0; i < all.size(); ++i)
      if (unions.root(i) == root) members.at.push_back(all[i]);
  return members;
}

// ---- links ----------------------------------------------------------------------------------------------

// Two groups with the same price at three sizes have the same links.
using Price = std::tuple<double, double, double>;
Price price_of(const Network& network, const GroupLinks& links) {
  const auto time = [&](Collective c, double size) {
    return network.collective(c, Bytes(size), links).time.value;
  };
  return {time(Collective::all_gather, 64e6), time(Collective::all_reduce, 64e3),
          time(Collective::all_to_all, 64e6)};
}

class Planner {
 public:
  Planner(const StepInput& in, const RankConditions& conditions, bool free_transfers, UnfoldedModel& model);
  void fill();

 private:
  RankId rank_at(int p, const Coordinates& m) const {
    return in_.layout->rank(m.tensor, m.context, p, m.data);
  }
  int width() const { return plan_.members / plan_.cells; }
  const Network& network_of(std::span<const RankId> ranks) const;
  void add_passes();
  std::uint32_t add_pass(int p, const Slot& slot);
  std::vector<Duration> slowed(int p, const UnfoldedPass& pass) const;
  void price_cells();
  void add_links();
  void add_data();
  std::vector<double> data_ratios(int p, Collective collective, Bytes size) const;

  const StepInput& in_;
  const RankConditions& conditions_;
  UnfoldedModel& model_;
  UnfoldedPlan& plan_;
  Members members_;
  StepShape shape_;
  GroupTable groups_;
  std::vector<StageCost> costs_;
  StepWork work_;
  std::vector<std::pair<int, Slot>> slot_of_pass_;  // [pass] pipeline rank and one of its slots
};

bool splits_backward(const PipelineSchedule& schedule) {
  for (const Slot& slot : schedule.slots.front())
    if (slot.pass == Pass::input_gradient || slot.pass == Pass::weight_gradient) return true;
  return false;
}

Planner::Planner(const StepInput& in, const RankConditions& conditions, bool free_transfers,
                 UnfoldedModel& model)
    : in_(in),
      conditions_(conditions),
      model_(model),
      plan_(model.plan),
      members_(members_of(in)),
      shape_{in.model, in.layout, in.training, in.profile},
      groups_(GroupTable::of(*in.network, *in.layout, in.training->sharding, stage_copies(model.schedule))),
      costs_(stage_costs(shape_, *in.schedule, *in.network, groups_, splits_backward(model.schedule))),
      work_(in, model.schedule, groups_, costs_, free_transfers) {}

void Planner::fill() {
  plan_.schedule = &model_.schedule;
  plan_.point_to_point = in_.schedule->point_to_point;
  plan_.members = static_cast<int>(members_.at.size());
  plan_.cells = members_.cells;
  plan_.tensor = in_.layout->tensor;
  for (const Coordinates& m : members_.at) plan_.tensor_of.push_back(static_cast<std::int16_t>(m.tensor));
  for (int p = 0; p < model_.schedule.ranks; ++p)
    for (const Coordinates& m : members_.at) model_.ranks.push_back(rank_at(p, m));
  const Sharding& sharding = in_.training->sharding;
  plan_.overlap_data = in_.training->overlap.data;
  plan_.holds_gradients = sharding.kind == Sharding::Kind::zero2;
  plan_.inside_passes = sharding.shards_parameters();
  plan_.group = work_.group();
  plan_.copies = stage_copies(model_.schedule);
  plan_.overlap_slowdown = work_.overlap_slowdown();
  plan_.tied = work_.tied_embeddings_time();
  plan_.tied_first = model_.schedule.rank_of_stage.front().front();
  plan_.tied_last = model_.schedule.rank_of_stage.front().back();
  plan_.jitter = conditions_.jitter;
  add_passes();
  price_cells();
  add_links();
  add_data();
}

// ---- passes ---------------------------------------------------------------------------------------------

void Planner::add_passes() {
  using Key = std::tuple<int, Pass, int, int>;
  std::map<Key, std::uint32_t> known;
  plan_.pass_of.resize(index(model_.schedule.ranks));
  for (int p = 0; p < model_.schedule.ranks; ++p)
    for (const Slot& slot : model_.schedule.slots[index(p)]) {
      const bool fused = slot.pass == Pass::forward_backward;
      const Key key{p, slot.pass, slot.stage, fused ? slot.backward_stage : -1};
      const auto found = known.find(key);
      const std::uint32_t pass = found == known.end() ? add_pass(p, slot) : found->second;
      known.emplace(key, pass);
      plan_.pass_of[index(p)].push_back(pass);
    }
}

std::int64_t collectives_of(const StagePass& pass, bool data_inside) {
  double count = 0;
  for (const CommunicationUse& use : pass.communication)
    if (use.group != CommunicationGroup::data || data_inside) count += use.count;
  return std::llround(count);
}

const StagePass& pass_of(const StageCost& cost, Pass pass) {
  switch (pass) {
    case Pass::input_gradient:
      return cost.input_gradient;
    case Pass::weight_gradient:
      return cost.weight_gradient;
    case Pass::backward:
      return cost.backward;
    default:
      return cost.forward;
  }
}

std::uint32_t Planner::add_pass(int p, const Slot& slot) {
  const ClockCost cost = work_.cost_of(slot);
  UnfoldedPass pass;
  pass.compute = cost.compute;
  pass.host = cost.host;
  pass.tensor = cost.tensor;
  pass.context = cost.context;
  pass.expert = cost.expert;
  pass.data = cost.data;
  const bool inside = plan_.inside_passes;
  pass.collectives = collectives_of(pass_of(costs_[index(slot.stage)], slot.pass), inside);
  if (slot.pass == Pass::forward_backward)
    pass.collectives += collectives_of(costs_[index(slot.backward_stage)].backward, inside);
  pass.own = slowed(p, pass);
  plan_.passes.push_back(std::move(pass));
  slot_of_pass_.emplace_back(p, slot);
  return static_cast<std::uint32_t>(plan_.passes.size() - 1);
}

// The layer's time is (gpu^4 + host^4)^(1/4) (stage_cost), which sums of equal layers follow too: what the host
// would take alone is found from the nominal pass, and both are slowed.
Duration slowed_own(const UnfoldedPass& pass, double gpu_factor, double host_factor) {
  if (gpu_factor == 1 && host_factor == 1) return pass.nominal_own();
  const Duration compute = to_clock(to_seconds(pass.compute) * gpu_factor);
  const double traffic = to_seconds(pass.nominal_traffic()).value;
  const double gpu = to_seconds(pass.compute).value + traffic;
  const double both = gpu + to_seconds(pass.host).value;
  const double host_alone = std::max(0.0, std::pow(both, 4) - std::pow(gpu, 4)) * std::pow(host_factor, 4);
  const double slow = to_seconds(compute).value + traffic;
  return compute + to_clock(Seconds(std::max(0.0, std::pow(std::pow(slow, 4) + host_alone, 0.25) - slow)));
}

std::vector<Duration> Planner::slowed(int p, const UnfoldedPass& pass) const {
  std::vector<Duration> own;
  if (conditions_.gpu.empty()) return own;
  bool all_nominal = true;
  for (const Coordinates& m : members_.at) {
    const auto rank = index(rank_at(p, m).value);
    all_nominal = all_nominal && conditions_.gpu[rank] == 1 && conditions_.host[rank] == 1;
    own.push_back(slowed_own(pass, conditions_.gpu[rank], conditions_.host[rank]));
  }
  if (all_nominal) own.clear();
  return own;
}

// ---- links of cells, pairs and data groups --------------------------------------------------------------

// Degraded links are looked up only where they may matter.
const Network& Planner::network_of(std::span<const RankId> ranks) const {
  if (conditions_.degraded == nullptr) return *in_.network;
  for (const RankId rank : ranks) {
    const NodeId node = in_.network->fabric().node_of(in_.network->placement()[rank]);
    if (conditions_.touched[index(node.value)] != 0) return *conditions_.degraded;
  }
  return *in_.network;
}

// Cells whose groups have other links than the representative's are priced again.
void Planner::price_cells() {
  const Layout& l = *in_.layout;
  const Network& network = *in_.network;
  std::map<std::pair<Price, Price>, std::vector<StageCost>> priced;
  const std::pair nominal(price_of(network, groups_.tensor), price_of(network, groups_.context));
  const auto slowest = [&](GroupLinks& worst, const std::vector<RankId>& group, int groups) {
    const GroupLinks links = network_of(group).group(group, groups);
    if (price_of(network, links) > price_of(network, worst)) worst = links;
  };
  for (int p = 0; p < model_.schedule.ranks; ++p)
    for (int cell = 0; cell < plan_.cells; ++cell) {
      GroupTable table = groups_;
      std::map<std::pair<int, int>, std::vector<RankId>> tensor_groups, context_groups;
      for (int i = cell * width(); i < (cell + 1) * width(); ++i) {
        const Coordinates& m = members_.at[index(i)];
        tensor_groups[{m.context, m.data}].push_back(rank_at(p, m));
        context_groups[{m.tensor, m.data}].push_back(rank_at(p, m));
      }
      if (l.tensor > 1)
        for (const auto& [at, group] : tensor_groups) slowest(table.tensor, group, l.world() / l.tensor);
      if (l.context > 1)
        for (const auto& [at, group] : context_groups) slowest(table.context, group, l.world() / l.context);
      const std::pair price(price_of(network, table.tensor), price_of(network, table.context));
      if (price == nominal) continue;
      if (!priced.contains(price))
        priced[price] = stage_costs(shape_, *in_.schedule, network, table, splits_backward(model_.schedule));
      const StepWork work(in_, model_.schedule, table, priced[price], true);
      for (std::size_t i = 0; i < plan_.passes.size(); ++i) {
        if (slot_of_pass_[i].first != p) continue;
        UnfoldedPass& pass = plan_.passes[i];
        if (pass.traffic.empty()) pass.traffic.assign(index(plan_.cells), pass.nominal_traffic());
        const ClockCost cost = work.cost_of(slot_of_pass_[i].second);
        pass.traffic[index(cell)] = cost.tensor + cost.context + cost.expert + cost.data;
      }
    }
}

void Planner::add_links() {
  const int ranks = model_.schedule.ranks;
  plan_.links.resize(index(ranks) * index(ranks));
  const int node = in_.network->fabric().node().gpus;
  for (int a = 0; a < ranks; ++a)
    for (const int b : {(a + 1) % ranks, (a + ranks - 1) % ranks}) {
      if (a == b) continue;
      UnfoldedLink& link = plan_.links[index(a) * index(ranks) + index(b)];
      link.nominal = work_.transfer(a, b, Pass::forward);
      if (link.nominal == Duration{}) continue;
      const auto message = [&](const Coordinates& m) {
        const std::array pair{rank_at(a, m), rank_at(b, m)};
        return to_clock(network_of(pair).point_to_point(pair[0], pair[1], work_.message(), node));
      };
      const Duration representative = to_clock(in_.network->point_to_point(
          rank_at(a, Coordinates{}), rank_at(b, Coordinates{}), work_.message(), node));
      bool same = true;
      std::vector<Duration> each;
      for (const Coordinates& m : members_.at) {
        const Duration more = message(m) - representative;
        same = same && more == Duration{};
        each.push_back(link.nominal + more);
      }
      if (!same) link.of_member = std::move(each);
    }
}

// Time of a collective of each data group of a pipeline rank over the representative's, by tensor coordinate.
std::vector<double> Planner::data_ratios(int p, Collective collective, Bytes size) const {
  const Layout& l = *in_.layout;
  std::vector<double> ratios(index(l.tensor), 1);
  if (plan_.copies > 1 || groups_.data.ranks < 2 || size.value <= 0) return ratios;
  const Seconds nominal = in_.network->collective(collective, size, groups_.data).time;
  for (int t = 0; t < l.tensor; ++t) {
    std::vector<RankId> group;
    for (int d = 0; d < l.data; ++d)
      for (int c = 0; c < l.context; ++c) group.push_back(l.rank(t, c, p, d));
    const GroupLinks links = network_of(group).group(group, l.world() / static_cast<int>(group.size()));
    ratios[index(t)] = in_.network->collective(collective, size, links).time / nominal;
  }
  return ratios;
}

void Planner::add_data() {
  plan_.data.resize(index(model_.schedule.ranks));
  const auto scale = [](Duration d, double ratio) {
    return ratio == 1 ? d : to_clock(to_seconds(d) * ratio);
  };
  for (int p = 0; p < model_.schedule.ranks; ++p) {
    plan_.data[index(p)].resize(index(model_.schedule.stages));
    // Of a whole GB: ratios of long messages.
    const std::vector<double> ratios = data_ratios(p, Collective::all_gather, Bytes(1e9));
    std::vector<Time> free;
    for (const double ratio : ratios) free.push_back(Time{} + scale(work_.stream(p).free - Time{}, ratio));
    plan_.stream_free.push_back(std::move(free));
    for (int stage = 0; stage < model_.schedule.stages; ++stage) {
      const StepWork::StageState& state = work_.state(p, stage);
      UnfoldedData& data = plan_.data[index(p)][index(stage)];
      data.buckets = state.buckets;
      for (const double ratio : ratios) {
        if (state.reduce > Duration{}) data.reduce.push_back(scale(state.reduce, ratio));
        if (state.gathered == Time{}) continue;
        data.first_bucket.push_back(Time{} + scale(state.first_bucket - Time{}, ratio));
        data.gathered.push_back(Time{} + scale(state.gathered - Time{}, ratio));
      }
    }
  }
}

// ---- accounts -------------------------------------------------------------------------------------------

struct Last {
  int rank = 0, member = 0;
  Time begin{}, slots{}, gradients{};
};

// When the step of a rank begins: without a barrier before it, with its own first slot.
Time begin_of(const StepInput& in, const UnfoldedModel& model, const UnfoldedTrace& trace, int rank,
              int member) {
  if (in.schedule->gradient_norm == GradientNorm::barrier || model.schedule.slots[index(rank)].empty())
    return {};
  return trace.start[trace.at(rank, 0, member)];
}

// The rank that ends last (post-validation: has the longest window); of several the first.
Last last_of(const StepInput& in, const UnfoldedModel& model, const UnfoldedTrace& trace) {
  Last last;
  Duration longest{-1};
  for (int rank = 0; rank < model.schedule.ranks; ++rank)
    for (int q = 0; q < model.plan.members; ++q) {
      const std::size_t at = index(rank * model.plan.members + q);
      const Time begin = begin_of(in, model, trace, rank, q);
      const Duration window = trace.gradients_end[at] - begin;
      if (window <= longest) continue;
      longest = window;
      last = {rank, q, begin, trace.slots_end[at], trace.gradients_end[at]};
    }
  return last;
}

struct Spent {
  Duration compute, tensor, context, expert, data, host, busy;
};

Spent spent_by(const UnfoldedModel& model, const UnfoldedTrace& trace, const Last& last) {
  const UnfoldedPlan& plan = model.plan;
  const int cell = last.member / (plan.members / plan.cells);
  Spent sum{};
  for (std::size_t i = 0; i < model.schedule.slots[index(last.rank)].size(); ++i) {
    const UnfoldedPass& pass = plan.passes[plan.pass_of[index(last.rank)][i]];
    const Duration own = pass.own.empty() ? pass.nominal_own() : pass.own[index(last.member)];
    sum.compute += own - pass.host;
    sum.host += pass.host;
    sum.tensor += pass.tensor;
    if (!pass.traffic.empty()) sum.tensor += pass.traffic[index(cell)] - pass.nominal_traffic();
    sum.context += pass.context;
    sum.expert += pass.expert;
    sum.data += pass.data;
    const std::size_t at = trace.at(last.rank, i, last.member);
    sum.busy += trace.end[at] - trace.start[at];
  }
  return sum;
}

// The exclusive parts of the last rank; waiting for members of its cell counts as its collectives'.
void break_down(StepBreakdown& b, const StepInput& in, const UnfoldedModel& model, const UnfoldedTrace& trace,
                const Last& last, const UnfoldedTrace* without_transfers) {
  const Spent spent = spent_by(model, trace, last);
  const std::size_t at = index(last.rank * model.plan.members + last.member);
  const Duration met = trace.cell_wait[at];
  b.compute = spent.compute;
  b.tensor_exposed = spent.tensor;
  b.context_exposed = spent.context;
  b.expert_exposed = spent.expert;
  Duration& shared = in.layout->tensor > 1    ? b.tensor_exposed
                     : in.layout->context > 1 ? b.context_exposed
                     : in.layout->expert > 1  ? b.expert_exposed
                                              : b.data_exposed;
  const Duration work = spent.compute + spent.tensor + spent.context + spent.expert + spent.data + spent.host;
  const Duration beside = spent.busy - work - met;  // lost beside the data stream; with jitter, noise
  const Duration idle = last.slots - last.begin - spent.busy;
  const Duration gate = std::min(idle, trace.gated[at]);
  b.data_exposed = spent.data + gate + (last.gradients - last.slots);
  (model.plan.jitter > 0 ? b.compute : b.data_exposed) += beside;
  shared += met;
  b.pipeline_exposed = {};
  if (without_transfers != nullptr) {
    const Last same{last.rank,
                    last.member,
                    begin_of(in, model, *without_transfers, last.rank, last.member),
                    without_transfers->slots_end[at],
                    {}};
    Duration alone = same.slots - same.begin - spent_by(model, *without_transfers, same).busy;
    alone -= std::min(alone, without_transfers->gated[at]);
    b.pipeline_exposed = idle - gate - std::min(idle - gate, alone);
  }
  b.bubble = idle - gate - b.pipeline_exposed;
  b.other = spent.host + to_clock(in.profile->step_overhead);
}

WaitSummary summary_of(std::string name, const std::vector<Duration>& waits) {
  WaitSummary summary{std::move(name), 0, {}, {}};
  Duration sum{};
  for (const Duration wait : waits) {
    if (wait <= Duration{1000}) continue;
    ++summary.ranks;
    sum += wait;
    summary.longest = std::max(summary.longest, wait);
  }
  if (summary.ranks > 0) summary.mean = Duration{sum.ns / summary.ranks};
  return summary;
}

// Whose gradients came last in the reduction that others waited for longest.
RankId waited_for(const UnfoldedModel& model, const UnfoldedTrace& trace) {
  RankId slowest;
  Duration longest{};
  for (const UnfoldedReduction& reduction : trace.reductions)
    for (std::size_t t = 0; t < reduction.groups.size(); ++t) {
      const UnfoldedReduction::Group& group = reduction.groups[t];
      for (int q = 0; q < model.plan.members; ++q) {
        if (static_cast<std::size_t>(model.plan.tensor_of[index(q)]) != t) continue;
        const Time own = trace.end[trace.at(reduction.ranks.front(), index(reduction.slots.front()), q)];
        if (group.ready.back() - own <= longest) continue;
        longest = group.ready.back() - own;
        slowest = model.ranks[index(group.last_rank.back() * model.plan.members + group.last_member.back())];
      }
    }
  return slowest;
}

Duration gradients_reduced(const StepInput& in, const UnfoldedModel& model, const UnfoldedPlan& plan) {
  const Last last = last_of(in, model, execute(plan));
  return last.gradients - last.begin;
}

void explain(UnfoldedResult& result, const StepInput& in, const UnfoldedModel& model,
             const UnfoldedTrace& trace, const Last& last) {
  const CriticalPath path = critical_path(model.plan, trace, last.rank, last.member);
  std::map<std::pair<int, int>, Duration> slowdown;
  for (const PathVisit& visit : path.visits) {
    result.visits.push_back({model.ranks[index(visit.rank * model.plan.members + visit.member)], visit.over,
                             visit.from, visit.to, visit.slowdown});
    const Duration sum = slowdown[{visit.rank, visit.member}] += visit.slowdown;
    if (sum <= result.slowest_adds) continue;
    result.slowest_adds = sum;
    result.slowest = model.ranks[index(visit.rank * model.plan.members + visit.member)];
  }
  const Duration whole = last.gradients - last.begin;
  const StepBreakdown& b = result.step.breakdown;
  for (int i = 0; i < kPathCauses; ++i) {
    CauseShare share;
    share.cause = static_cast<PathCause>(i);
    share.time = path.by_cause(share.cause);
    if (share.time > Duration{}) {
      constexpr double kPart = 0.01;
      const Duration now =
          gradients_reduced(in, model, with_cause_scaled(model.plan, share.cause, 1 - kPart));
      share.saved_per_second = to_seconds(whole - now) / (to_seconds(share.time) * kPart);
    }
    if (share.cause == PathCause::optimizer) share.time = b.optimizer;
    if (share.cause == PathCause::other)
      share.time = b.total() - whole - b.optimizer;  // fixed time, fitted spread, data loading
    if (share.cause >= PathCause::optimizer) share.saved_per_second = 1;
    share.share = to_seconds(share.time) / to_seconds(result.step.time);
    if (share.time > Duration{}) result.causes.push_back(share);
  }
  std::ranges::stable_sort(result.causes, std::ranges::greater(), &CauseShare::time);
}

}  // namespace

void plan_unfolded(const StepInput& in, const RankConditions& conditions, std::uint64_t seed,
                   bool free_transfers, UnfoldedModel& model) {
  model.schedule = in.schedule->row->build(in.schedule->request(*in.layout, in.microbatches));
  Planner(in, conditions, free_transfers, model).fill();
  model.plan.seed = seed;
}

UnfoldedResult simulate_unfolded(const StepInput& in, const RankConditions& conditions, std::uint64_t seed,
                                 bool explained) {
  UnfoldedResult result;
  result.step = simulate_step(in);
  result.symmetric = result.step.time;
  UnfoldedModel model, free_model;
  plan_unfolded(in, conditions, seed, false, model);
  const UnfoldedTrace trace = execute(model.plan);
  const Last last = last_of(in, model, trace);
  StepBreakdown& b = result.step.breakdown;
  const Duration optimizer = b.optimizer;
  if (in.attribute_transfers && model.schedule.ranks > 1) {
    plan_unfolded(in, conditions, seed, true, free_model);
    const UnfoldedTrace without = execute(free_model.plan);
    break_down(b, in, model, trace, last, &without);
  } else {
    break_down(b, in, model, trace, last, nullptr);
  }
  b.optimizer = optimizer;
  b.data_loading = {};
  add_job_time(b, in);
  retime(result.step);
  result.step.last_rank = last.rank;
  result.last = model.ranks[index(last.rank * model.plan.members + last.member)];
  result.ranks = in.layout->world();
  result.rank_events = trace.rank_events;
  result.queue_events = trace.queue_events;
  result.waits = {summary_of("members of their groups, inside passes", trace.cell_wait),
                  summary_of("messages of neighbour stages", trace.message_wait),
                  summary_of("other replicas, in gradient reductions", trace.replica_wait)};
  result.waited_for = waited_for(model, trace);
  if (explained) explain(result, in, model, trace, last);
  return result;
}

}  // namespace runcast
