// See the header.
#include "scenarios/advise_search.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "scenarios/search_engine.hpp"

namespace runcast {

namespace {

std::string recompute_word(const Recompute& r) {
  constexpr std::array<std::string_view, 3> kWords = {"none", "selective", "full"};
  const auto kind = static_cast<std::size_t>(r.kind);
  return kind < kWords.size() && r.layers == 0 ? std::string(kWords[kind]) : std::string();
}

std::string order_word(const Layout& l) {
  std::vector<std::string_view> axes;
  for (const Axis axis : l.order) axes.push_back(name_of(axis));
  return fmt::format("{}", fmt::join(axes, "-"));
}

// 1, and doubled again and again from `low` to `high`; the search keeps what divides.
std::vector<std::int64_t> doubled(std::int64_t low, std::int64_t high) {
  std::vector<std::int64_t> values{1};
  for (std::int64_t value = std::max<std::int64_t>(1, low); value <= high; value *= 2)
    if (value > 1) values.push_back(value);
  return values;
}

// What quick leaves as it is. A choice that the search has no word for (modules, a sharding group) it adds by itself.
SearchAxes quick_axes(const Scenario& s) {
  SearchAxes axes;
  const std::string recompute = recompute_word(s.training.recompute);
  axes.recompute = recompute.empty() ? std::vector<std::string>{} : std::vector<std::string>{recompute};
  axes.sharding = {std::string(name_of(s.training.sharding.kind))};
  if (s.training.sharding.group > 0) axes.sharding.clear();
  const Overlap& o = s.training.overlap;
  axes.overlap_data = {o.data ? 1 : 0};
  axes.overlap_tensor = {o.tensor ? 1 : 0};
  axes.overlap_pipeline = {o.pipeline ? 1 : 0};
  axes.overlap_expert = {o.expert ? 1 : 0};
  axes.order = {order_word(s.layout)};
  axes.sequence_parallel = {1};
  axes.group_size = {0};
  const Layout& l = s.layout;
  axes.tensor = doubled(1, std::max(s.node.gpus, l.tensor));  // within a node
  axes.context = doubled(l.context / 2, 2 * l.context);
  axes.pipeline = doubled(l.pipeline / 4, 4 * l.pipeline);
  axes.micro_batch = doubled(s.training.micro_batch / 4, 4 * s.training.micro_batch);
  if (s.model.is_moe()) {
    axes.expert = doubled(l.expert / 2, 2 * l.expert);
    axes.expert_tensor = {l.expert_tensor};
  }
  return axes;
}

std::string layout_words(const Scenario& s) {
  const Layout& l = s.layout;
  std::string words = fmt::format("tensor {} pipeline {} data {}", l.tensor, l.pipeline, l.data);
  if (l.context > 1) words += fmt::format(" context {}", l.context);
  if (l.expert > 1) words += fmt::format(" expert {}", l.expert);
  words += fmt::format(" micro_batch {}", s.training.micro_batch);
  if (l.pipeline > 1) words += fmt::format(" {}", s.schedule.row->name);
  if (l.pipeline > 1 && s.schedule.virtual_stages > 1)
    words += fmt::format(" x {}", s.schedule.virtual_stages);
  return words;
}

// A layout is found for the main training; its phases stay what they are, or refuse it.
void keep_phases(std::vector<std::string>& sets) { std::erase(sets, "training.phases="); }

// Without the assignments that change neither the step nor its memory.
std::vector<std::string> that_matter(const ScenarioSource& source, std::vector<std::string> sets,
                                     const Library& library, std::uint64_t seed) {
  const auto answer = [&](const std::vector<std::string>& assigned) {
    Document document = source.open(assigned);
    const Scenario s = read_scenario(document, library);
    return std::pair{step_of(s, seed, false).time.ns, memory_of(s).peak.value};
  };
  const auto whole = answer(sets);
  for (std::size_t i = sets.size(); i-- > 0;) {
    std::vector<std::string> fewer = sets;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    try {
      if (answer(fewer) == whole) sets = std::move(fewer);
    } catch (const ConfigError&) {  // it matters
    }
  }
  return sets;
}

}  // namespace

std::vector<Proposal> searched_layouts(const ScenarioSource& source, const Scenario& s,
                                       const Library& library, AdviceSearch effort,
                                       const ExperimentOptions& options) {
  if (!s.faults.empty() || s.gpus() < 2) return {};
  const SearchSpace space(source, effort == AdviceSearch::quick ? quick_axes(s) : SearchAxes{}, library);
  SearchSettings settings;
  settings.threads = options.threads;
  settings.seed = options.seed;
  settings.top = 1;
  settings.factor = {1};
  const SearchOutcome found = search_layouts(space, settings);
  if (found.best.empty()) return {};
  const SimulatedLayout& best = found.best.front();
  std::vector<std::string> sets = space.sets(best.choice);
  keep_phases(sets);
  for (std::string& set : sets)  // what is left of the GPUs
    if (set.starts_with("layout.data=")) set = "layout.data=auto";
  try {
    sets = that_matter(source, std::move(sets), library, options.seed);
  } catch (const ConfigError&) {  // its phases do not go with it
    return {};
  }
  if (sets.empty()) return {};
  return {
      {fmt::format(
           "the fastest of {} layouts that fit, of {} counted; {} simulated, the bounds of the others are "
           "slower",
           found.feasible, found.counted, found.simulated),
       layout_words(s), layout_words(space.scenario(best.choice)), std::move(sets)}};
}

}  // namespace runcast
