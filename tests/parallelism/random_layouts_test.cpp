// Properties that hold for every legal schedule, layout and model, over thousands of drawn ones. The draws have
// addresses: a failure names its number, and the same number draws the same case.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "parallelism/memory.hpp"
#include "parallelism/slot_program.hpp"
#include "parallelism/step_bound.hpp"
#include "sim/random.hpp"
#include "tests/parallelism/steps.hpp"

namespace runcast {
namespace {

// Whole numbers drawn from the stream of one case.
class Draw {
 public:
  explicit Draw(std::uint64_t number) : stream_(20241227, Purpose::test, 0, number) {}
  int between(int low, int high) {
    return low + static_cast<int>(stream_.below(static_cast<std::uint64_t>(high - low + 1)));
  }
  template <class T>
  const T& of(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(between(0, static_cast<int>(choices.size()) - 1))];
  }
  bool coin() { return between(0, 1) == 1; }

 private:
  RandomStream stream_;
};

// ---- schedules ------------------------------------------------------------------------------------------

struct DrawnSchedule {
  const ScheduleRow* row = nullptr;
  ScheduleRequest request;
  bool legal() const { return row->refuse(request).empty(); }
};

DrawnSchedule draw_schedule(std::uint64_t number) {
  Draw draw(number);
  DrawnSchedule s;
  const auto rows = pipeline_schedules();
  s.row = &rows[static_cast<std::size_t>(draw.between(0, static_cast<int>(rows.size()) - 1))];
  s.request.ranks = draw.between(1, 8);
  s.request.microbatches = draw.between(1, 24);
  s.request.chunks = s.row->name == "interleaved_1f1b" ? draw.between(2, 4) : draw.between(1, 2);
  if (s.row->name == "interleaved_1f1b" && draw.coin()) s.request.group_size = draw.between(1, 24);
  if (s.row->fuses_pairs && draw.coin()) s.request.extra_warmup = s.request.fuse_pairs = true;
  return s;
}

// Durations by stage and pass, transfers of one length; tells nothing else.
class DrawnWork final : public PipelineWork {
 public:
  DrawnWork(Draw& draw, const PipelineSchedule& schedule, Duration transfer) : transfer_(transfer) {
    for (int s = 0; s < schedule.stages; ++s)
      for (int pass = 0; pass < 5; ++pass) lengths_.push_back(Duration{draw.between(1, 900)});
  }
  Duration duration(int, const Slot& slot, Time) override {
    return lengths_[static_cast<std::size_t>(slot.stage) * 5 + static_cast<std::size_t>(slot.pass)];
  }
  Time not_before(int, const Slot&) override { return {}; }
  Duration transfer(int, int, Pass) override { return transfer_; }
  void finished(int, const Slot&, Time, Time) override {}
  void slower(Duration transfer) { transfer_ = transfer; }

 private:
  std::vector<Duration> lengths_;
  Duration transfer_;
};

// How often each (stage, micro-batch) is passed; all of one rank.
struct Passes {
  int forward = 0, input = 0, weight = 0;
};
std::map<std::pair<int, int>, Passes> passes_of(const PipelineSchedule& schedule) {
  std::map<std::pair<int, int>, Passes> count;
  for (const std::vector<Slot>& slots : schedule.slots)
    for (const Slot& slot : slots) {
      Passes& p = count[{slot.stage, slot.microbatch}];
      p.forward += slot.pass == Pass::forward || slot.pass == Pass::forward_backward ? 1 : 0;
      p.input += slot.pass == Pass::backward || slot.pass == Pass::input_gradient ? 1 : 0;
      p.weight += slot.pass == Pass::backward || slot.pass == Pass::weight_gradient ? 1 : 0;
      if (slot.pass != Pass::forward_backward) continue;
      Passes& back = count[{slot.backward_stage, slot.backward_microbatch}];
      ++back.input;
      ++back.weight;
    }
  return count;
}

// Messages of one step: each micro-batch crosses each pair of neighbouring stages on two ranks once each way.
std::size_t crossings(const PipelineSchedule& schedule) {
  std::size_t count = 0;
  for (const int direction : schedule.direction_of_microbatch) {
    const std::vector<int>& rank_of = schedule.rank_of_stage[static_cast<std::size_t>(direction)];
    for (std::size_t s = 1; s < rank_of.size(); ++s) count += rank_of[s] != rank_of[s - 1] ? 2 : 0;
  }
  return count;
}

TEST_CASE(
    "of 3000 drawn schedules every legal one runs to its end, with each pass once and each message "
    "received") {
  int legal = 0;
  for (std::uint64_t number = 0; number < 3000; ++number) {
    const DrawnSchedule drawn = draw_schedule(number);
    if (!drawn.legal()) continue;
    ++legal;
    CAPTURE(number);
    CAPTURE(drawn.row->name);
    const PipelineSchedule schedule = drawn.row->build(drawn.request);
    bool once = true;
    for (const auto& [cell, p] : passes_of(schedule)) once &= p.forward == 1 && p.input == 1 && p.weight == 1;
    CHECK(once);
    CHECK(passes_of(schedule).size() ==
          static_cast<std::size_t>(schedule.stages) * static_cast<std::size_t>(schedule.microbatches));
    Draw draw(1'000'000 + number);
    DrawnWork work(draw, schedule, Duration{draw.between(1, 300)});
    for (const PointToPoint mode : {PointToPoint::overlapped, PointToPoint::blocking}) {
      EventQueue queue;
      const PipelineTrace trace = execute(schedule, mode, work, queue);  // throws on a deadlock
      std::size_t ran = 0;
      for (const auto& spans : trace.ranks) ran += spans.size();
      std::size_t listed = 0;
      for (const auto& slots : schedule.slots) listed += slots.size();
      CHECK(ran == listed);
      CHECK(trace.transfers.size() == crossings(schedule));
    }
  }
  CHECK(legal > 1000);  // the draw does not only make refusals
}

// Slots run in a fixed order and start when all that they wait for is there: ends are maxima of sums of lengths, and
// grow with each of them. (A transfer that holds ranks changes the order of what it blocks.)
TEST_CASE("of 1000 drawn schedules none ends later when its transfers take less time") {
  for (std::uint64_t number = 0; number < 1000; ++number) {
    const DrawnSchedule drawn = draw_schedule(number);
    if (!drawn.legal()) continue;
    CAPTURE(number);
    const PipelineSchedule schedule = drawn.row->build(drawn.request);
    Draw draw(1'000'000 + number);
    DrawnWork work(draw, schedule, Duration{200});
    EventQueue slow, fast;
    const Duration before = execute(schedule, PointToPoint::overlapped, work, slow).makespan;
    work.slower(Duration{60});
    CHECK(execute(schedule, PointToPoint::overlapped, work, fast).makespan <= before);
  }
}

// ---- layouts --------------------------------------------------------------------------------------------

Model draw_model(Draw& draw) {
  Model m;
  m.name = "drawn";
  m.layers = draw.between(1, 14);
  m.heads = 8 * draw.between(1, 6);
  m.kv_heads = draw.coin() ? m.heads : 8;
  m.head_dim = 64;
  m.hidden = m.heads * 64;
  m.ffn = 48 * draw.between(8, 40);
  m.vocabulary = 1000 * draw.between(1, 40);
  m.activation = draw.of(std::vector{Activation::gelu, Activation::swiglu, Activation::squared_relu});
  m.tied_embeddings = draw.coin();
  if (draw.between(0, 3) == 0) m.window = SlidingWindow{128, draw.between(0, 3)};
  if (draw.between(0, 4) == 0) m.predicted_tokens = 1;
  if (draw.between(0, 4) == 0) {
    m.latent = LatentAttention{draw.coin() ? 192 : 0, 64, 32, 64, 64};
    m.kv_heads = m.heads;
    m.head_dim = 96;
  }
  if (draw.coin()) {
    Experts e;
    e.count = 8;
    e.top_k = draw.between(1, 4);
    e.ffn = 48 * draw.between(2, 8);
    e.shared_ffn = draw.coin() ? 96 : 0;
    e.dense_layers = draw.between(0, static_cast<int>(m.layers));
    e.every = draw.between(1, 2);
    e.imbalance = draw.coin() ? 1.3 : 1;
    e.node_limit = draw.coin() ? 2 : 0;
    m.experts = e;
  }
  return m;
}

// A layout that read_layout and read_schedule would accept; nothing when the draw is not one.
std::optional<StepCase> draw_step(std::uint64_t number) {
  Draw draw(5'000'000 + number);
  static const StepCase usual;  // reads the library once
  StepCase c = usual;
  c.model = draw_model(draw);
  Layout& l = c.layout;
  l.tensor = draw.of(std::vector{1, 1, 2, 4, 8, 3, 24});
  l.context = draw.of(std::vector{1, 1, 2, 4});
  l.pipeline = draw.of(std::vector{1, 2, 3, 4, 6});
  l.data = draw.of(std::vector{1, 2, 3, 4, 8});
  l.sequence_parallel = l.tensor > 1 && draw.coin();
  l.context_method = draw.of(std::vector<std::string>{"allgather", "ring", "ulysses"});
  if (c.model.experts) l.expert = draw.of(std::vector{1, 2, 4, 8});
  if (c.model.experts) l.expert_tensor = draw.of(std::vector{1, 1, 2});
  if (draw.coin()) l.order = {Axis::tensor, Axis::context, Axis::data, Axis::pipeline};
  const int inside = l.tensor * l.context * l.data;
  if (c.model.heads % (l.tensor * l.context) != 0 || c.model.ffn % l.tensor != 0 ||
      (c.model.kv_heads % l.tensor != 0 && l.tensor % c.model.kv_heads != 0) ||
      inside % (l.expert * l.expert_tensor) != 0)
    return std::nullopt;
  const auto rows = pipeline_schedules();
  const ScheduleRow& row = rows[static_cast<std::size_t>(draw.between(0, static_cast<int>(rows.size()) - 1))];
  c.schedule = row.name;
  const bool folded = row.name == "zb_v" || row.name.starts_with("dualpipe");
  c.virtual_stages = row.name == "interleaved_1f1b" ? draw.between(2, 3) : folded ? 2 : 1;
  c.microbatches = draw.between(1, 16);
  c.training.sequence_length = 768 * draw.between(1, 4);
  c.training.micro_batch = draw.between(1, 2);
  c.training.precision = find_precision(draw.of(std::vector<std::string>{"bf16", "bf16", "fp8"}));
  c.training.flash_attention = draw.between(0, 4) > 0;
  c.training.overlap.data = draw.coin();
  c.training.overlap.expert = draw.coin();
  c.training.deduplicate_tokens = draw.coin();
  c.training.offload.optimizer = draw.between(0, 4) == 0;
  c.training.offload.activations = draw.between(0, 4) == 0;
  c.training.recompute.kind =
      draw.of(std::vector{Recompute::Kind::none, Recompute::Kind::selective, Recompute::Kind::full});
  c.training.sharding.kind = draw.of(
      std::vector{Sharding::Kind::none, Sharding::Kind::zero1, Sharding::Kind::zero2, Sharding::Kind::zero3});
  c.point_to_point =
      draw.of(std::vector{PointToPoint::blocking, PointToPoint::async, PointToPoint::overlapped});
  const int stages = row.name == "dualpipe" ? l.pipeline : l.pipeline * c.virtual_stages;
  c.stage_layers = balanced_stages(c.model.layers, stages, head_over_layer(c.model, c.training));
  c.fuse_pairs = row.fuses_pairs && c.training.overlap.expert && l.expert > 1;
  c.gradient_norm = draw.coin() ? GradientNorm::barrier : GradientNorm::post_validation;
  if (!row.refuse(c.spec().request(l, c.microbatches)).empty()) return std::nullopt;
  return c;
}

TEST_CASE("of 3000 drawn layouts every legal one steps, its parts sum to the step, and the same twice") {
  int legal = 0;
  for (std::uint64_t number = 0; number < 3000; ++number) {
    const std::optional<StepCase> c = draw_step(number);
    if (!c) continue;
    ++legal;
    CAPTURE(number);
    CAPTURE(c->schedule);
    const StepResult r = c->run();
    CHECK(r.breakdown.total() == r.time);
    const StepBreakdown& b = r.breakdown;
    bool positive = true;
    for (const Duration part :
         {b.compute, b.tensor_exposed, b.context_exposed, b.expert_exposed, b.pipeline_exposed,
          b.data_exposed, b.bubble, b.optimizer, b.data_loading, b.other})
      positive &= part >= Duration{};
    CHECK(positive);
    CHECK(r.mfu > 0);
    CHECK(r.mfu <= 1);
    if (number % 10 == 0) CHECK(c->run().time == r.time);
  }
  CHECK(legal > 400);
}

// The same step by the event queue, by the sweep, and from below.
TEST_CASE(
    "of 6000 drawn layouts each legal one takes the same time without accounts, and no less than its bound") {
  int legal = 0, swept = 0, near = 0;
  for (std::uint64_t number = 0; number < 6000; ++number) {
    const std::optional<StepCase> drawn = draw_step(number);
    if (!drawn) continue;
    ++legal;
    CAPTURE(number);
    CAPTURE(drawn->schedule);
    const StepCase& c = *drawn;
    const Fabric built(c.node, c.nodes(), c.fabric);
    const Network network(built, packed_placement(c.layout.world()));
    TrainingSpec t = c.training;
    t.global_batch = c.microbatches * t.micro_batch * c.layout.data;
    const ScheduleSpec spec = c.spec();
    const StepInput in{&c.model, &c.layout, &t, &spec, &c.profile, &network, c.microbatches, false};
    const ScheduleRequest request = spec.request(c.layout, c.microbatches);
    const SlotProgram program(spec.row->build(request), interleaving_group_size(request));
    const StepShape shape{&c.model, &c.layout, &t, &c.profile};
    const GroupTable groups = GroupTable::of(network, c.layout, t.sharding, stage_copies(program.schedule()));
    const LayerPrices prices(shape, network, groups, program.split_backward(), false);
    const StageKinds kinds = stage_kinds(c.model, spec.stage_layers);
    std::vector<StageCost> of_kind, costs;
    for (const int stage : kinds.example)
      of_kind.push_back(prices.stage(shape, spec, network, groups, stage));
    for (const int kind : kinds.of_stage) costs.push_back(of_kind[static_cast<std::size_t>(kind)]);
    const Duration simulated = simulate_step(in).time;
    CHECK(step_time(in, program, groups, costs) == simulated);
    swept += program.sweeps(spec.point_to_point) ? 1 : 0;
    const StepFloor floor =
        step_floor(in, groups, kinds, of_kind, program.schedule().rank_of_stage, program.split_backward());
    const Duration least = least_step_time(in, floor);
    CHECK(least <= simulated);
    near += to_seconds(least) / to_seconds(simulated) > 0.8 ? 1 : 0;
  }
  CHECK(legal > 800);
  CHECK(swept > 400);
  CHECK(near > legal / 2);  // a bound of 0 would hold too
}

TEST_CASE("of the drawn layouts none steps slower when every link has twice the bandwidth") {
  for (std::uint64_t number = 0; number < 1500; ++number) {
    std::optional<StepCase> c = draw_step(number);
    if (!c) continue;
    // A blocked rank takes its messages in another order when they are shorter.
    if (c->point_to_point == PointToPoint::blocking) c->point_to_point = PointToPoint::overlapped;
    CAPTURE(number);
    CAPTURE(c->schedule);
    const Duration before = c->run().time;
    c->node.nic.bandwidth *= 2;
    c->node.scale_up.bandwidth *= 2;
    c->node.host_link *= 2;
    CHECK(c->run().time <= before);
  }
}

// Every copy of the embedding and every layer is somewhere: what all ranks hold, each layer's tensor parts summed, is
// the model, but for what is whole on each tensor rank; and memory, which is asked for the same schedule, ends empty
// (an invariant of memory_of).
TEST_CASE("of the drawn layouts each holds the whole model, twice under DualPipe") {
  for (std::uint64_t number = 0; number < 1500; ++number) {
    const std::optional<StepCase> c = draw_step(number);
    if (!c || c->layout.tensor > 1 || c->model.predicted_tokens > 0) continue;
    CAPTURE(number);
    const ScheduleSpec spec = c->spec();
    const PipelineSchedule schedule = spec.row->build(spec.request(c->layout, c->microbatches));
    double held = 0;
    for (int r = 0; r < schedule.ranks; ++r) {
      const RankParameters p = parameters_of_stages(c->model, c->layout, spec, stages_of_rank(schedule, r));
      held += p.dense + p.expert * c->layout.expert * c->layout.expert_tensor;
    }
    const ParameterCount count = count_parameters(c->model);
    const double copies = stage_copies(schedule);
    // Tied embeddings are one matrix where the first and the last stage are one rank's, two where they are not.
    const bool apart = schedule.rank_of_stage[0].front() != schedule.rank_of_stage[0].back() &&
                       c->model.tied_embeddings && copies == 1;
    const double again = apart ? static_cast<double>(count.embedding) : 0;
    CHECK(held == doctest::Approx(copies * static_cast<double>(count.total) + again).epsilon(1e-12));
    const MemoryReport memory =
        memory_of(c->model, c->layout, c->training, spec, c->profile, schedule, c->node.gpu);
    CHECK(memory.stages.size() == static_cast<std::size_t>(c->layout.pipeline));
    CHECK(memory.peak > Bytes(0));
  }
}

// What is not legal is told with its rule: the legal values, the nearest ones, or what the key must be.
TEST_CASE(
    "of 2000 drawn layout sections each is either a grid of all GPUs or refused with what would be legal") {
  int refused = 0, legal = 0;
  for (std::uint64_t number = 0; number < 2000; ++number) {
    Draw draw(9'000'000 + number);
    const Model m = draw_model(draw);
    const int gpus = 8 * draw.between(1, 12), sequence = 256 * draw.between(1, 40);
    const std::string text = fmt::format(
        "layout: {{tensor: {}, context: {}, pipeline: {}, expert: {}, expert_tensor: {}, "
        "sequence_parallel: {}, context_method: {}}}\n",
        draw.between(1, 9), draw.between(1, 3), draw.between(1, 5), draw.between(1, 4), draw.between(1, 2),
        draw.coin(), draw.coin() ? "ulysses" : "ring");
    CAPTURE(text);
    Document document = Document::parse(text, "drawn.yaml");
    const Layout l = read_layout(document.root().section("layout"), m, gpus, sequence);
    try {
      document.finish();
      ++legal;
      CHECK(l.world() == gpus);
      CHECK(l.expert * l.expert_tensor * l.expert_data() == l.tensor * l.context * l.data);
    } catch (const ConfigError& error) {
      ++refused;
      const std::string what = error.what();
      CHECK((what.find("legal") != std::string::npos || what.find("must be") != std::string::npos));
    }
  }
  CHECK(refused > 500);
  CHECK(legal > 50);
}

}  // namespace
}  // namespace runcast
