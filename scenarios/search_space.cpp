// Reading of axes, enumeration by factorization, and one layout as a scenario.
#include "scenarios/search_space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "sim/error.hpp"

namespace runcast {

namespace {

constexpr std::int64_t kLargestMicroBatch = 16;  // where none is given; memory leaves few above
constexpr std::array<std::string_view, 3> kRecomputes = {"none", "selective", "full"};
constexpr std::array<std::string_view, 4> kShardings = {"none", "zero1", "zero2", "zero3"};
constexpr std::array<std::string_view, 4> kAxes = {"tensor", "context", "pipeline", "data"};
// Keys that say how one layout's stages are cut or sent; a search balances them itself.
constexpr std::array kOfOneLayout = {
    "p2p", "stage_layers", "first_stage_layers", "last_stage_layers", "embedding_as_layer", "head_as_layer"};

std::vector<std::string> words(const std::string& list) {
  std::string spaced = list;
  std::replace(spaced.begin(), spaced.end(), ',', ' ');
  std::istringstream in(spaced);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

[[noreturn]] void refuse(const std::string& key, const std::string& what) {
  throw ConfigError(fmt::format("--space: {}: {}", key, what));
}

std::int64_t number_of(const std::string& key, const std::string& word) {
  if (word == "auto") return 0;
  if (word == "all") return -1;
  if (word == "true") return 1;
  if (word == "false") return 0;
  return parse_count(word, fmt::format("--space: {}", key));
}

template <std::size_t N>
void check_words(const std::string& key, const std::vector<std::string>& given,
                 const std::array<std::string_view, N>& legal) {
  for (const std::string& word : given)
    if (std::ranges::find(legal, word) == legal.end())
      refuse(key, fmt::format("'{}' is none of: {}", word, fmt::join(legal, ", ")));
}

std::array<Axis, 4> order_of(const std::string& text) {
  std::array<Axis, 4> order{};
  std::size_t at = 0, begin = 0;
  for (; at < 4 && begin <= text.size(); ++at) {
    const std::size_t end = std::min(text.find('-', begin), text.size());
    const auto found = std::ranges::find(kAxes, text.substr(begin, end - begin));
    if (found == kAxes.end()) break;
    order[at] = static_cast<Axis>(found - kAxes.begin());
    begin = end + 1;
  }
  std::array<Axis, 4> sorted = order;
  std::ranges::sort(sorted);
  if (at != 4 || std::ranges::adjacent_find(sorted) != sorted.end())
    refuse("order",
           fmt::format("'{}' does not name the four axes once; write tensor-context-data-pipeline", text));
  return order;
}

std::string text_of(const std::array<Axis, 4>& order) {
  return fmt::format("[{}, {}, {}, {}]", name_of(order[0]), name_of(order[1]), name_of(order[2]),
                     name_of(order[3]));
}

std::vector<std::int64_t> chosen(const std::vector<std::int64_t>& given, std::int64_t n) {
  if (given.empty()) return divisors(n);
  std::vector<std::int64_t> out;
  for (const std::int64_t value : given)
    if (value >= 1 && n % value == 0) out.push_back(value);
  return out;
}

std::string_view word(bool value) { return value ? "true" : "false"; }

bool tensor_divides(const Model& m, std::int64_t t) {
  return m.heads % t == 0 && m.ffn % t == 0 && (m.kv_heads % t == 0 || t % m.kv_heads == 0);
}

}  // namespace

std::vector<std::int64_t> divisors(std::int64_t n) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 1; i * i <= n; ++i)
    if (n % i == 0) {
      out.push_back(i);
      if (i != n / i) out.push_back(n / i);
    }
  std::ranges::sort(out);
  return out;
}

std::string_view sentence_of(Rejection reason) {
  switch (reason) {
    case Rejection::tensor:
      return "heads, key and value heads or ffn do not divide over tensor";
    case Rejection::sequence:
      return "the sequence (ulysses: the heads) does not divide over tensor and context";
    case Rejection::experts:
      return "experts do not divide over expert, or expert x expert_tensor not over tensor x context x data";
    case Rejection::batch:
      return "global_batch does not divide over micro_batch x data";
    case Rejection::layers:
      return "more pipeline stages than layers";
    case Rejection::same:
      return "the same step as another layout counted: what it asks for has nothing to act on";
    case Rejection::schedule:
      return "the schedule refuses so few or so many micro-batches";
    case Rejection::memory:
      return "does not fit into GPU memory";
  }
  return "";
}

void set_axis(SearchAxes& axes, const std::string& text) {
  const std::map<std::string, std::vector<std::int64_t>*> numbers = {
      {"nodes", &axes.node_counts},
      {"global_batch", &axes.global_batches},
      {"tensor", &axes.tensor},
      {"context", &axes.context},
      {"pipeline", &axes.pipeline},
      {"expert", &axes.expert},
      {"expert_tensor", &axes.expert_tensor},
      {"micro_batch", &axes.micro_batch},
      {"virtual_stages", &axes.virtual_stages},
      {"group_size", &axes.group_size},
      {"sequence_parallel", &axes.sequence_parallel},
      {"overlap.data", &axes.overlap_data},
      {"overlap.tensor", &axes.overlap_tensor},
      {"overlap.pipeline", &axes.overlap_pipeline},
      {"overlap.expert", &axes.overlap_expert}};
  const std::map<std::string, std::vector<std::string>*> texts = {
      {"node", &axes.nodes},        {"recompute", &axes.recompute}, {"sharding", &axes.sharding},
      {"schedule", &axes.schedule}, {"order", &axes.order},         {"context_method", &axes.context_method}};
  const std::size_t equals = text.find('=');
  std::string key = text.substr(0, equals), list = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (list.size() > 1 && list.front() == '[' && list.back() == ']') list = list.substr(1, list.size() - 2);
  const std::vector<std::string> given = words(list);
  if (given.empty())
    throw ConfigError(fmt::format("--space: '{}' names no values; write for example tensor=[4, 8]", text));
  if (const auto found = texts.find(key); found != texts.end()) {
    *found->second = given;
  } else if (const auto number = numbers.find(key); number != numbers.end()) {
    number->second->clear();
    for (const std::string& one : given) number->second->push_back(number_of(key, one));
  } else {
    std::vector<std::string> names;
    for (const auto& entry : numbers) names.push_back(entry.first);
    for (const auto& entry : texts) names.push_back(entry.first);
    const std::string near = nearest_name(key, names);
    throw ConfigError(
        near.empty()
            ? fmt::format("--space: no choice is called '{}'; there are: {}", key, fmt::join(names, ", "))
            : fmt::format("--space: no choice is called '{}', did you mean '{}'?", key, near));
  }
  check_words("recompute", axes.recompute, kRecomputes);
  check_words("sharding", axes.sharding, kShardings);
  for (const std::string& name : axes.schedule)
    if (find_schedule(name) == nullptr) refuse("schedule", fmt::format("there is no schedule '{}'", name));
  for (const std::string& order : axes.order) order_of(order);
}

SearchSpace::SearchSpace(const ScenarioSource& source, const SearchAxes& axes, const Library& library)
    : axes_(axes) {
  Document document = source.open();
  const Scenario base = read_scenario(document, library);
  if (!base.faults.empty())
    throw ConfigError("search: cluster.faults make ranks unequal; a search compares layouts of equal ranks");
  {
    Document again = source.open();
    if (auto schedule = again.root().optional_section("schedule"))
      for (const char* key : kOfOneLayout)
        if (schedule->has(key)) removed_.push_back(fmt::format("schedule.{}=", key));
    if (again.root().section("training").has("phases")) removed_.emplace_back("training.phases=");
  }
  if (axes_.schedule.empty())
    for (const ScheduleRow& row : pipeline_schedules()) axes_.schedule.emplace_back(row.name);
  if (axes_.context_method.empty()) axes_.context_method = {base.layout.context_method};
  if (!base.model.is_moe()) axes_.overlap_expert = {0};
  if (axes_.expert.empty() && !base.model.is_moe()) axes_.expert = {1};
  if (axes_.expert_tensor.empty() && !base.model.is_moe()) axes_.expert_tensor = {1};
  read_machines(source, library);
  for (Machine& machine : machines_) machine.scenario.schedule.gradient_norm = base.schedule.gradient_norm;
  list_choices(base);
  list_cells(base.layout);
}

// Read with a layout that any cluster has, so that only the machine's own mistakes are told.
void SearchSpace::read_machines(const ScenarioSource& source, const Library& library) {
  std::vector<std::string> nodes = axes_.nodes;
  std::vector<std::int64_t> counts = axes_.node_counts, batches = axes_.global_batches;
  if (nodes.empty()) nodes.emplace_back();
  if (counts.empty()) counts.push_back(0);
  if (batches.empty()) batches.push_back(0);
  for (const std::string& node : nodes)
    for (const std::int64_t count : counts)
      for (const std::int64_t batch : batches) {
        Machine machine;
        if (!node.empty()) machine.sets.push_back("cluster.node=" + node);
        if (count > 0) machine.sets.push_back(fmt::format("cluster.nodes={}", count));
        if (batch > 0) machine.sets.push_back(fmt::format("training.global_batch={}", batch));
        Document given = source.open(machine.sets), cluster = source.open(machine.sets);
        const std::int64_t asked = given.root().section("training").count("global_batch");
        std::vector<std::string> plain = machine.sets;
        for (const char* set : {"layout=", "schedule=", "training.micro_batch=1",
                                "training.sharding=", "training.phases=", "training.recompute=none"})
          plain.emplace_back(set);
        plain.push_back(fmt::format("training.global_batch={}", std::max(1, gpus_of(cluster, library))));
        Document document = source.open(plain);
        machine.scenario = read_scenario(document, library);
        machine.scenario.training.global_batch = asked;
        machines_.push_back(std::move(machine));
      }
}

void SearchSpace::list_choices(const Scenario& base) {
  for (const std::string& name : axes_.recompute) {
    Recompute r;
    r.kind = static_cast<Recompute::Kind>(std::ranges::find(kRecomputes, name) - kRecomputes.begin());
    recomputes_.push_back(r);
  }
  const Recompute& own = base.training.recompute;
  if (own.kind == Recompute::Kind::modules || own.layers > 0) recomputes_.push_back(own);
  for (const std::string& name : axes_.sharding) {
    Sharding s;
    s.kind = static_cast<Sharding::Kind>(std::ranges::find(kShardings, name) - kShardings.begin());
    shardings_.push_back(s);
  }
  if (base.training.sharding.group > 0) shardings_.push_back(base.training.sharding);
  for (const std::string& order : axes_.order) orders_.push_back(order_of(order));
  if (!orders_.empty()) return;
  for (const auto& order : {base.layout.order, Layout{}.order,
                            std::array{Axis::tensor, Axis::context, Axis::data, Axis::pipeline}})
    if (std::ranges::find(orders_, order) == orders_.end()) orders_.push_back(order);
}

void SearchSpace::list_cells(const Layout& base) {
  for (std::size_t machine = 0; machine < machines_.size(); ++machine) {
    const Scenario& s = machines_[machine].scenario;
    const std::int64_t gpus = s.gpus();
    for (const std::int64_t pipeline : chosen(axes_.pipeline, gpus))
      for (const std::int64_t tensor : chosen(axes_.tensor, gpus / pipeline))
        for (const std::int64_t context : chosen(axes_.context, gpus / pipeline / tensor)) {
          const std::int64_t inside = gpus / pipeline;
          const std::int64_t experts = s.model.experts ? s.model.experts->count : 1;
          for (const std::int64_t expert : chosen(axes_.expert, experts))
            for (const std::int64_t expert_tensor :
                 axes_.expert_tensor.empty()
                     ? (tensor > 1 ? std::vector<std::int64_t>{1, tensor} : std::vector<std::int64_t>{1})
                     : axes_.expert_tensor)
              for (const std::int64_t parallel : axes_.sequence_parallel)
                for (const std::string& method : axes_.context_method)
                  for (const auto& order : orders_) {
                    Layout l = base;
                    l.tensor = static_cast<int>(tensor);
                    l.sequence_parallel = parallel != 0;
                    l.context = static_cast<int>(context);
                    l.context_method = method;
                    l.pipeline = static_cast<int>(pipeline);
                    l.data = static_cast<int>(inside / tensor / context);
                    l.expert = static_cast<int>(expert);
                    l.expert_tensor = static_cast<int>(expert_tensor);
                    l.order = order;
                    cells_.push_back({static_cast<std::int32_t>(machine), l});
                  }
        }
  }
}

const Rejection* SearchSpace::refused(const Cell& cell) const {
  static constexpr std::array kAll = {Rejection::tensor, Rejection::sequence, Rejection::experts,
                                      Rejection::batch,  Rejection::layers,   Rejection::same};
  const Scenario& s = machines_[static_cast<std::size_t>(cell.machine)].scenario;
  const Layout& l = cell.layout;
  const Model& m = s.model;
  const std::int64_t sequence = s.training.sequence_length,
                     both = static_cast<std::int64_t>(l.tensor) * l.context;
  if (!tensor_divides(m, l.tensor)) return &kAll[0];
  if ((l.context > 1 && sequence % (2 * l.context) != 0) || (l.sequence_parallel && sequence % both != 0) ||
      (l.context_method == "ulysses" && m.heads % both != 0))
    return &kAll[1];
  if (m.experts && l.tensor * l.context * l.data % (l.expert * l.expert_tensor) != 0) return &kAll[2];
  if (s.training.global_batch % l.data != 0) return &kAll[3];
  if (l.pipeline > m.layers) return &kAll[4];
  // Sequence parallelism shards over tensor ranks, a context method needs context ranks; orders that place no
  // group of more than one rank differently are one.
  const bool other_method = l.context == 1 && l.context_method != axes_.context_method.front();
  if ((l.tensor == 1 && l.sequence_parallel && axes_.sequence_parallel.size() > 1) || other_method)
    return &kAll[5];
  const auto effective = [&](const std::array<Axis, 4>& order) {
    std::vector<Axis> left;
    for (const Axis axis : order)
      if (l.degree(axis) > 1) left.push_back(axis);
    return left;
  };
  for (const auto& order : orders_) {
    if (order == l.order) break;
    if (effective(order) == effective(l.order)) return &kAll[5];
  }
  return nullptr;
}

std::vector<std::int64_t> SearchSpace::micro_batches(const Cell& cell) const {
  const std::int64_t batch = machines_[static_cast<std::size_t>(cell.machine)].scenario.training.global_batch;
  if (batch % cell.layout.data != 0) return {};
  std::vector<std::int64_t> list = chosen(axes_.micro_batch, batch / cell.layout.data);
  if (axes_.micro_batch.empty()) std::erase_if(list, [](std::int64_t b) { return b > kLargestMicroBatch; });
  return list;
}

// Interleaving with every number of chunks that cuts the layers evenly, with or without embedding and head as layers.
std::vector<ScheduleChoice> SearchSpace::schedules(int pipeline) const {
  const std::int64_t layers = machines_.front().scenario.model.layers;
  std::vector<ScheduleChoice> list;
  for (const std::string& name : axes_.schedule) {
    const ScheduleRow* row = find_schedule(name);
    const bool folded = name == "zb_v" || name.starts_with("dualpipe");
    if (name != "interleaved_1f1b") {
      list.push_back({row, folded ? 2 : 1, 0});
      continue;
    }
    // One rank has nothing to interleave with: frameworks refuse it, and it would win by a hair's breadth of overlap.
    for (std::int64_t v = 2; pipeline > 1 && v * pipeline <= layers + 2; ++v) {
      const bool asked = axes_.virtual_stages.empty()
                             ? layers % (v * pipeline) == 0 || (layers + 2) % (v * pipeline) == 0
                             : std::ranges::find(axes_.virtual_stages, v) != axes_.virtual_stages.end();
      if (!asked) continue;
      for (const std::int64_t group : axes_.group_size)
        list.push_back({row, static_cast<int>(v), static_cast<int>(group)});
    }
  }
  return list;
}

std::int64_t SearchSpace::size(const Cell& cell) const {
  const auto n = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
  return std::max<std::int64_t>(1, n(micro_batches(cell))) * n(recomputes_) * n(shardings_) *
         std::max<std::int64_t>(1, n(schedules(cell.layout.pipeline))) * n(axes_.overlap_data) *
         n(axes_.overlap_tensor) * n(axes_.overlap_pipeline) * n(axes_.overlap_expert);
}

std::int64_t SearchSpace::microbatches(const Choice& choice) const {
  const Cell& cell = cells_[static_cast<std::size_t>(choice.cell)];
  return machines_[static_cast<std::size_t>(cell.machine)].scenario.training.global_batch /
         (static_cast<std::int64_t>(choice.micro_batch) * cell.layout.data);
}

void SearchSpace::apply(const Choice& choice, const ScheduleChoice& schedule, TrainingSpec& t,
                        ScheduleSpec& spec) const {
  const Cell& cell = cells_[static_cast<std::size_t>(choice.cell)];
  const Scenario& s = machines_[static_cast<std::size_t>(cell.machine)].scenario;
  t.micro_batch = choice.micro_batch;
  t.recompute = recomputes_[static_cast<std::size_t>(choice.recompute)];
  t.sharding = shardings_[static_cast<std::size_t>(choice.sharding)];
  t.overlap = {choice.overlap_data, choice.overlap_tensor, choice.overlap_pipeline, choice.overlap_expert};
  spec.row = schedule.row;
  spec.virtual_stages = schedule.virtual_stages;
  spec.group_size = schedule.group_size < 0
                        ? static_cast<int>(microbatches(choice))
                        : static_cast<int>(std::min<std::int64_t>(schedule.group_size, microbatches(choice)));
  const bool hidden =
      spec.virtual_stages > 1 ? s.software.overlap_p2p_interleaved : s.software.overlap_p2p_flat;
  spec.point_to_point = hidden && choice.overlap_pipeline ? PointToPoint::overlapped : PointToPoint::blocking;
  spec.gradient_norm = s.schedule.gradient_norm;
  spec.fuse_pairs =
      choice.overlap_expert && s.model.is_moe() && cell.layout.expert > 1 && spec.row->fuses_pairs;
  const std::int64_t stages = spec.row->name == "dualpipe"
                                  ? cell.layout.pipeline
                                  : static_cast<std::int64_t>(cell.layout.pipeline) * spec.virtual_stages;
  spec.stage_layers = balanced_stages(s.model.layers, stages, head_over_layer(s.model, t));
}

Scenario SearchSpace::scenario(const Choice& choice) const {
  const Cell& cell = cells_[static_cast<std::size_t>(choice.cell)];
  Scenario s = machines_[static_cast<std::size_t>(cell.machine)].scenario;
  s.layout = cell.layout;
  apply(choice, schedules(cell.layout.pipeline)[static_cast<std::size_t>(choice.schedule)], s.training,
        s.schedule);
  s.microbatches = microbatches(choice);
  return s;
}

std::vector<std::string> SearchSpace::sets(const Choice& choice) const {
  const Cell& cell = cells_[static_cast<std::size_t>(choice.cell)];
  const Layout& l = cell.layout;
  const ScheduleChoice schedule = schedules(l.pipeline)[static_cast<std::size_t>(choice.schedule)];
  std::vector<std::string> sets = machines_[static_cast<std::size_t>(cell.machine)].sets;
  const auto add = [&](const char* key, const auto& value) {
    sets.push_back(fmt::format("{}={}", key, value));
  };
  sets.insert(sets.end(), removed_.begin(), removed_.end());
  add("layout.tensor", l.tensor);
  add("layout.sequence_parallel", word(l.sequence_parallel));
  add("layout.context", l.context);
  add("layout.context_method", l.context_method);
  add("layout.pipeline", l.pipeline);
  add("layout.data", l.data);
  add("layout.expert", l.expert);
  add("layout.expert_tensor", l.expert_tensor);
  add("layout.order", text_of(l.order));
  add("schedule.name", schedule.row->name);
  add("schedule.virtual_stages", schedule.virtual_stages);
  const std::string group = schedule.group_size == 0  ? "auto"
                            : schedule.group_size < 0 ? "all"
                                                      : std::to_string(schedule.group_size);
  add("schedule.group_size", group);
  add("training.micro_batch", choice.micro_batch);
  const auto recompute = static_cast<std::size_t>(choice.recompute),
             sharding = static_cast<std::size_t>(choice.sharding);
  if (recompute < axes_.recompute.size()) add("training.recompute", axes_.recompute[recompute]);
  if (sharding < axes_.sharding.size()) add("training.sharding", axes_.sharding[sharding]);
  add("training.overlap.data", word(choice.overlap_data));
  add("training.overlap.tensor", word(choice.overlap_tensor));
  add("training.overlap.pipeline", word(choice.overlap_pipeline));
  add("training.overlap.expert", word(choice.overlap_expert));
  return sets;
}

}  // namespace runcast
