// Composes the readers of all folders into one scenario and holds the rules that cross them.
#include "scenarios/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "failures/limits.hpp"
#include "parallelism/scaling_law.hpp"
#include "scenarios/collective_curves.hpp"
#include "scenarios/limits.hpp"
#include "sim/quantity.hpp"
#include "sim/source_text.hpp"

namespace runcast {

namespace {

constexpr std::array<std::string_view, 3> kPlacements = {"packed", "scattered", "random"};
constexpr std::array<std::string_view, 2> kNetworks = {"alpha_beta", "flow"};
constexpr std::int64_t kMaxNodes = 1'000'000;

bool looks_like_path(std::string_view text) {
  return text.find('/') != std::string_view::npos || text.ends_with(".yaml") || text.ends_with(".yml");
}

// An entry that is named (library), a path, or written inline as a map. `read` turns its section into T.
template <class Read>
auto read_entry(Section& s, std::string_view key, std::string_view folder, std::string_view kind,
                const Library& library, std::string_view fallback, Read read)
    -> decltype(read(std::declval<Section>(), std::string_view())) {
  if (s.kind(key) == NodeKind::map) return read(s.section(key), "inline");
  const std::string name = fallback.empty() ? s.text(key) : s.text(key, fallback);
  auto from = [&](Document document) {
    auto value = read(document.root(), name);
    document.finish();
    return value;
  };
  if (looks_like_path(name)) return from(Document::load(name));
  if (const LibraryEntry* entry = library.find(folder, name))
    return from(Document::parse(entry->text, entry->path));
  if (!name.empty()) {
    const std::vector<std::string> names = library.names(folder);
    const std::string near = nearest_name(name, names);
    s.fail(key, near.empty()
                    ? fmt::format("unknown {} '{}'; in the library: {}", kind, name, fmt::join(names, ", "))
                    : fmt::format("unknown {} '{}', did you mean '{}'?", kind, name, near));
  }
  return {};
}

GpuSpec find_gpu(Section& s, std::string_view key, const Library& library) {
  return read_entry(s, key, "hardware/gpus", "GPU", library, "",
                    [](Section section, std::string_view) { return read_gpu(section); });
}

NodeSpec read_node_entry(Section section, const Library& library) {
  const GpuSpec gpu = find_gpu(section, "gpu", library);
  if (!section.ok()) return {};
  return read_node(section, gpu);
}

// {file: PATH}: the GPU of each rank, numbers from 0 between spaces or line ends.
std::vector<std::int32_t> read_placement(Section& s, int gpus) {
  const std::string path = s.text("file");
  if (path.empty()) return {};
  std::string text;
  try {
    text = detail::table_text(path);
  } catch (const ConfigError& error) {
    s.fail("file", error.what());
    return {};
  }
  std::istringstream in(text);
  std::vector<std::int32_t> list;
  std::vector<bool> taken(static_cast<std::size_t>(std::max(0, gpus)), false);
  for (std::string word; in >> word;) {
    std::int32_t gpu = -1;
    const auto end = std::from_chars(word.data(), word.data() + word.size(), gpu);
    const bool number = end.ec == std::errc() && end.ptr == word.data() + word.size();
    if (!number || gpu < 0 || gpu >= gpus) {
      s.fail("file", fmt::format("{}: rank {} is on '{}'; GPUs are 0 to {}", path, list.size(),
                                 detail::shown(word), gpus - 1));
      return {};
    }
    if (taken[static_cast<std::size_t>(gpu)]) {
      s.fail("file", fmt::format("{}: GPU {} is named twice", path, gpu));
      return {};
    }
    taken[static_cast<std::size_t>(gpu)] = true;
    list.push_back(gpu);
  }
  return list;
}

void read_cluster(Section s, const Library& library, Scenario& out) {
  out.node = read_entry(s, "node", "hardware/nodes", "node", library, "",
                        [&](Section section, std::string_view) { return read_node_entry(section, library); });
  if (s.ok()) out.node.measured = collective_curves(library, out.node.gpu.architecture);
  const std::int64_t nodes = s.count("nodes");
  if (s.ok() && (nodes < 1 || nodes > kMaxNodes))
    s.fail("nodes", fmt::format("nodes must be between 1 and {}, not {}", kMaxNodes, nodes));
  out.nodes = static_cast<int>(std::clamp<std::int64_t>(nodes, 1, kMaxNodes));
  const std::int64_t gpus = s.count("gpus_per_node", std::max(1, out.node.gpus));
  if (s.ok() && (gpus < 1 || gpus > out.node.gpus))
    s.fail("gpus_per_node", fmt::format("{} has {} GPUs a node; gpus_per_node must be between 1 and that",
                                        out.node.name, out.node.gpus));
  if (s.ok() && gpus < out.node.gpus) {
    out.node.nics = std::max<int>(1, static_cast<int>(out.node.nics * gpus / out.node.gpus));
    if (out.node.scale_up_domain <= out.node.gpus) out.node.scale_up_domain = static_cast<int>(gpus);
    out.node.gpus = static_cast<int>(gpus);
  }
  if (s.has("network_per_gpu")) {
    const Bandwidth per_gpu = s.bandwidth("network_per_gpu");
    if (s.ok() && per_gpu.value <= 0) s.fail("network_per_gpu", "network_per_gpu must be more than 0");
    out.node.nic.bandwidth = per_gpu * (static_cast<double>(out.node.gpus) / std::max(1, out.node.nics));
  }
  out.fabric = read_entry(s, "fabric", "fabrics", "fabric", library, "infiniband-ndr-rail",
                          [](Section section, std::string_view) { return read_fabric(section); });
  out.faults = read_faults(s);
  if (s.kind("placement") == NodeKind::map) {
    Section placement = s.section("placement");
    out.placement = "file";
    out.gpu_of = read_placement(placement, out.gpus());
  } else {
    out.placement = s.choice("placement", kPlacements, "packed");
  }
  out.network =
      s.choice("network", kNetworks, "alpha_beta") == "flow" ? Fidelity::flow : Fidelity::alpha_beta;
}

// A layout of its own needs a schedule of its own where the pipeline has another degree.
void read_phase_layout(Section phase, const Scenario& s, PhaseSpec& p) {
  if (phase.has("layout"))
    p.layout = read_layout(phase.section("layout"), s.model, s.gpus(), p.sequence_length);
  if (phase.ok() && !(p.gpu_share > 0 && p.gpu_share <= 1))
    phase.fail("gpu_share", "the share of the replicas that a phase has is more than 0 and at most 1");
  if (phase.ok() && p.gpu_share < 1) {
    if (!p.layout) p.layout = s.layout;
    p.layout->data = std::max(1, static_cast<int>(p.layout->data * p.gpu_share));
  }
  const Layout& layout = p.layout ? *p.layout : s.layout;
  if (!phase.ok()) return;
  const std::int64_t round = p.micro_batch * layout.data;
  if (p.global_batch % round != 0) {
    phase.fail("global_batch",
               fmt::format("a phase's global_batch {} is not divisible by micro_batch {} x data {} = {}; "
                           "nearest legal: {}",
                           p.global_batch, p.micro_batch, layout.data, round,
                           nearest_multiples_text(p.global_batch, round)));
    return;
  }
  if (phase.has("schedule")) {
    TrainingSpec training = s.training;
    training.micro_batch = p.micro_batch;
    p.schedule = read_schedule(phase.section("schedule"), s.model, layout, p.global_batch / round, training,
                               s.software);
  } else if (layout.pipeline != s.layout.pipeline) {
    phase.fail("layout",
               fmt::format("a phase with pipeline {} beside the run's {} needs a schedule of its own",
                           layout.pipeline, s.layout.pipeline));
  }
}

std::vector<PhaseSpec> read_phases(Section training, const Scenario& s) {
  constexpr std::array<std::string_view, 2> kPlaces{"first", "last"};
  const TrainingSpec& main = s.training;
  std::vector<PhaseSpec> phases;
  double sum = 0;
  for (Section phase : training.list("phases")) {
    PhaseSpec p;
    p.name = phase.text("name", "");
    p.tokens = static_cast<double>(phase.count("tokens"));
    p.global_batch = phase.count("global_batch", main.global_batch);
    p.sequence_length = phase.count("sequence_length", main.sequence_length);
    p.micro_batch = phase.count("micro_batch", main.micro_batch);
    p.last = phase.choice("when", kPlaces, "first") == "last";
    p.gpu_share = phase.number("gpu_share", 1);
    if (p.name.empty()) p.name = fmt::format("{} x {}", p.global_batch, p.sequence_length);
    if (phase.ok() && p.tokens <= 0)
      phase.fail("tokens", "a phase takes at least 1 token; leave it out or write tokens: 252M");
    if (phase.ok() && (p.global_batch < 1 || p.micro_batch < 1 || p.sequence_length < 1 ||
                       p.sequence_length > 1'000'000'000 || p.global_batch > 1'000'000'000))
      phase.fail("tokens",
                 "a phase needs a global_batch, a micro_batch and a sequence_length of 1 to 1,000,000,000");
    const bool sensible = phase.ok();  // otherwise the layout's rules would speak about nonsense
    if (sensible) read_phase_layout(phase, s, p);
    if (!sensible) phase.skip("layout");
    if (!p.schedule) phase.skip("schedule");
    sum += p.tokens;
    phases.push_back(p);
  }
  if (training.ok() && sum > main.tokens)
    training.fail("phases",
                  fmt::format("the phases' {:.4g} tokens are more than the run's {:.4g}", sum, main.tokens));
  return phases;
}

// What divides the main stretch must divide each phase; its schedule must be able to run.
void check_phases(Section training, const Scenario& s, const Limits& limits) {
  for (const PhaseSpec& p : s.phases) {
    const Layout& layout = p.layout ? *p.layout : s.layout;
    const std::int64_t chunks = static_cast<std::int64_t>(2) * layout.context;
    if (layout.context > 1 && p.sequence_length % chunks != 0)
      training.fail("phases", fmt::format("a phase's sequence_length {} is not divisible into {} chunks",
                                          p.sequence_length, chunks));
    const std::int64_t shards = static_cast<std::int64_t>(layout.tensor) * layout.context;
    if (layout.sequence_parallel && p.sequence_length % shards != 0)
      training.fail("phases",
                    fmt::format("a phase's sequence_length {} is not divisible by tensor x context = {}",
                                p.sequence_length, shards));
    if (!training.ok()) return;
    const Scenario phase = s.at_phase(p);
    if (phase.microbatches > limits.microbatches)
      training.fail("phases",
                    fmt::format("{} micro-batches a step of a phase, more than limits.microbatches {}",
                                phase.microbatches, limits.microbatches));
    else if (const std::string why =
                 phase.schedule.row->refuse(phase.schedule.request(phase.layout, phase.microbatches));
             !why.empty())
      training.fail("phases", fmt::format("a phase's global_batch {}: {}", p.global_batch, why));
  }
}

EarlyStop read_stop(Section training) {
  EarlyStop stop;
  if (!training.has("stop")) return stop;
  Section s = training.section("stop");
  if (s.has("share") == s.has("loss"))
    s.fail("an early stop is {share: 0.8} of the tokens, or {loss: 2.0} by a scaling law");
  if (s.has("share")) stop.share = s.number("share");
  if (s.has("loss")) stop.loss = s.number("loss");
  std::vector<std::string_view> laws;
  for (const ScalingLaw& law : scaling_laws()) laws.push_back(law.name);
  stop.law = s.choice("law", laws, stop.law);
  if (s.ok() && !(stop.share > 0 && stop.share <= 1))
    s.fail("share", "the share of the tokens that are trained on is more than 0 and at most 1");
  return stop;
}

// Tokens of the run with its early stop. A loss is a law's of its own data: a forecast.
void resolve_stop(Section training, Scenario& s) {
  double phases = 0;
  for (const PhaseSpec& p : s.phases) phases += p.tokens;
  s.stopped_tokens = s.training.tokens * s.stop.share;
  if (s.stop.loss) {
    const ScalingLaw& law = *find_scaling_law(s.stop.law);
    const double parameters = static_cast<double>(count_parameters(s.model).active);
    const double last = law.loss({parameters, s.training.tokens});
    const auto tokens = tokens_for_loss(law, parameters, *s.stop.loss);
    if (!tokens || *tokens > s.training.tokens) {
      training.fail("stop",
                    fmt::format("by the law {} a loss of {} is not reached within the run's tokens; it "
                                "ends at {:.4f}",
                                law.name, *s.stop.loss, last));
      return;
    }
    s.stopped_tokens = *tokens;
    s.assumptions.push_back(
        fmt::format("Early stop: by the law {} the loss is {} after {:.4g} tokens, of {:.4g} at {:.4f}",
                    law.name, *s.stop.loss, *tokens, s.training.tokens, last));
  }
  if (s.stopped_tokens < phases)
    training.fail("stop", fmt::format("the run stops after {:.4g} tokens, but its phases alone take {:.4g}",
                                      s.stopped_tokens, phases));
}

void check_across(Section root, Section training, const Scenario& s, const Limits& limits) {
  Section cluster = root.section("cluster");
  if (const std::string why = too_many_flows(s, limits); !why.empty()) cluster.fail("network", why);
  if (const std::string why = too_large_fabric(s, limits); s.placement != "packed" && !why.empty())
    cluster.fail("placement", why);
  if (const std::string why = too_many_clocks(s, limits); !s.faults.empty() && !why.empty())
    cluster.fail("faults", why);
  const FlopRate peak = peak_rate(s.node.gpu, *s.training.precision);
  if (peak.value <= 0)
    training.fail("precision",
                  fmt::format("{} has no {} units", s.node.gpu.name, s.training.precision->name));
  if (s.training.sharding.group > 0 && (s.layout.data * s.layout.context) % s.training.sharding.group != 0)
    training.fail("sharding", fmt::format("a sharding group of {} does not divide data x context = {}",
                                          s.training.sharding.group, s.layout.data * s.layout.context));
}

void list_assumptions(const Scenario& s, std::vector<std::string>& out) {
  out.push_back(fmt::format("Software profile '{}': {}", s.software.name, s.software.sentence));
  if (s.economics.price_assumed && s.economics.gpu_hour.value > 0)
    out.push_back(fmt::format("Price {:.2f} USD per GPU-hour: the middle of the on-demand range of {}",
                              s.economics.gpu_hour.value, s.node.gpu.name));
  if (s.training.data_loading.time_per_sample.value == 0)
    out.emplace_back("Data loading never starves the step (data_loading.time_per_sample is not given)");
  out.emplace_back("Kernel and link efficiencies come from the hardware library, where each has its source");
}

// Spot nodes are taken back; a failure model that says how already knows better.
void add_spot(Scenario& s) {
  const Economics::Spot& spot = s.economics.spot;
  const auto takes_back = [](const FailureClass& f) { return f.action == Action::preempt; };
  if (s.economics.capacity != Capacity::spot || std::ranges::any_of(s.failures.classes, takes_back)) return;
  FailureClass failure;
  failure.name = "spot";
  failure.rate = spot.rate;
  failure.action = Action::preempt;
  failure.notice = spot.notice;
  failure.repair = spot.back;
  failure.own_repair = true;
  s.failures.classes.push_back(failure);
  s.economics.assumptions.insert(s.economics.assumptions.end(), spot.assumed.begin(), spot.assumed.end());
}

std::string place(const Location& at) {
  return at.line > 0 ? fmt::format("{}:{}:{}", at.file, at.line, at.column) : at.file;
}

RunSettings read_run(Section section) {
  RunSettings run;
  const auto time = [&](std::string_view key, Seconds fallback) {
    return limited(section, key, section.seconds(key, fallback), kLongestInterval);
  };
  if (section.has("deadline")) run.deadline = time("deadline", Seconds(0));
  if (section.ok() && run.deadline && !(run.deadline->value > 0))
    section.fail("deadline", "a deadline is later than the begin: 3 week");
  if (section.has("budget")) run.budget = section.dollars("budget");
  if (section.ok() && run.budget && !(run.budget->value > 0))
    section.fail("budget", "a budget is more than 0 USD");
  run.conditions.diurnal = section.number("diurnal", 0);
  if (section.ok() && !(run.conditions.diurnal >= 0 && run.conditions.diurnal <= 0.5))
    section.fail("diurnal", "the daily swing of throughput is a share, between 0 and 0.5");
  if (section.has("straggler")) {
    Section straggler = section.section("straggler");
    run.conditions.straggler = {straggler.number("excess", 0.084), straggler.number("spread", 0.91)};
    if (straggler.ok() &&
        !(run.conditions.straggler.median_excess >= 0 &&
          run.conditions.straggler.median_excess <= kLargestSlowdown &&
          run.conditions.straggler.spread >= 0 && run.conditions.straggler.spread <= kLargestSpread))
      straggler.fail(fmt::format("a straggler's excess is from 0 to {}, its spread from 0 to {}",
                                 kLargestSlowdown, kLargestSpread));
  }
  if (section.has("evaluation")) {
    Section evaluation = section.section("evaluation");
    const auto of = [&](std::string_view key) {
      return limited(evaluation, key, evaluation.seconds(key), kLongestInterval);
    };
    run.conditions.evaluation_interval = of("every");
    run.conditions.evaluation = of("lasts");
    if (evaluation.ok() && !(run.conditions.evaluation_interval.value >= 1))
      evaluation.fail("every", "evaluation pauses are at least 1 s of training apart");
  }
  return run;
}

PublishedRun read_published_run(Section s) {
  constexpr std::array<Unit, 2> kMassUnits = {{{"kg", 1e-3}, {"t", 1}}};
  PublishedRun p;
  p.source = s.text("source");
  if (s.has("time")) p.days = in_days(s.seconds("time"));
  if (s.has("gpu_hours")) p.gpu_hours = static_cast<double>(s.count("gpu_hours"));
  if (s.has("energy_mwh")) p.energy_mwh = s.number("energy_mwh");
  if (s.has("co2e")) p.co2e_t = s.quantity("co2e", kMassUnits);
  p.differs = s.texts("differs");
  return p;
}

}  // namespace

JobScale Scenario::job_scale() const {
  JobScale scale;
  scale.nodes = nodes;
  scale.gpus_per_node = node.gpus;
  scale.replicas = layout.data;
  scale.parameters = static_cast<double>(count_parameters(model).total);
  scale.nics_per_node = std::max(1, node.nics);
  scale.node_network = node.nic.bandwidth * static_cast<double>(node.nics);
  // What a restart needs: weights, fp32 master copy and optimizer state; 14 B a parameter for AdamW in bf16.
  if (training.precision != nullptr)
    scale.bytes_per_parameter = training.precision->weight_bytes + training.precision->master_bytes +
                                optimizer_state_bytes(training.optimizer);
  if (!fabric.tiers.empty() && fabric.tiers[0].nodes > 0) scale.nodes_per_leaf = fabric.tiers[0].nodes;
  scale.nodes_per_pod =
      fabric.tiers.size() > 1 && fabric.tiers[1].nodes > 0 ? fabric.tiers[1].nodes : scale.nodes;
  if (fabric.kind == "dragonfly") {
    scale.nodes_per_leaf = fabric.routers.nodes;
    scale.nodes_per_pod = fabric.routers.nodes * fabric.routers.group;
  }
  // A scale-up domain over several nodes is a rack (NVL72: 18 trays); else two 8-GPU hosts share one (LLaMA-3).
  scale.nodes_per_rack = std::max(2, node.scale_up_domain / std::max(1, node.gpus));
  scale.nodes_per_row = 8 * scale.nodes_per_rack;  // assumption
  return scale;
}

Placement Scenario::place(std::uint64_t seed) const {
  if (placement == "scattered") return scattered_placement(layout.world(), node.gpus, nodes);
  if (placement == "file") {
    Placement placed;
    for (int rank = 0; rank < layout.world(); ++rank)
      placed.gpu.emplace_back(gpu_of[static_cast<std::size_t>(rank)]);
    return placed;
  }
  if (placement == "random") return random_placement(layout.world(), gpus(), seed);
  return packed_placement(layout.world());
}

Scenario Scenario::at_phase(const PhaseSpec& phase) const {
  Scenario s = *this;
  s.training.global_batch = phase.global_batch;
  s.training.sequence_length = phase.sequence_length;
  s.training.micro_batch = phase.micro_batch;
  if (phase.layout) s.layout = *phase.layout;
  if (phase.gpu_share < 1) s.nodes = std::max(1, (s.layout.world() + node.gpus - 1) / std::max(1, node.gpus));
  if (phase.schedule) s.schedule = *phase.schedule;
  s.microbatches = phase.global_batch / (phase.micro_batch * s.layout.data);
  s.schedule.group_size = static_cast<int>(std::min<std::int64_t>(s.schedule.group_size, s.microbatches));
  return s;
}

double Scenario::main_tokens() const {
  double left = stopped_tokens;
  for (const PhaseSpec& phase : phases) left -= phase.tokens;
  return left;
}

int gpus_of(Document& document, const Library& library) {
  Scenario s;
  read_cluster(document.root().section("cluster"), library, s);
  return s.gpus();
}

Scenario read_scenario(Document& document, const Library& library) {
  Scenario s;
  Section root = document.root();
  s.name = root.text("name", "unnamed");
  const Limits limits = read_limits(root);
  s.model = read_entry(root, "model", "models", "model", library, "",
                       [](Section section, std::string_view name) { return read_model(section, name); });
  read_cluster(root.section("cluster"), library, s);
  s.software =
      read_entry(root, "software", "software", "software profile", library, "megatron",
                 [](Section section, std::string_view name) { return read_software_profile(section, name); });
  Section training = root.section("training");
  s.training = read_training(training, s.software, s.model);
  Section layout = root.section_or_empty("layout");
  const bool known = document.ok();  // otherwise the layout's rules would speak about nonsense
  s.layout = read_layout(layout, known ? s.model : Model{}, s.gpus(), s.training.sequence_length);
  if (document.ok()) s.microbatches = microbatches(training, s.training, s.layout);
  if (document.ok() && s.microbatches > limits.microbatches)
    training.fail("global_batch",
                  fmt::format("{0} micro-batches a step, more than limits.microbatches {1}; --set "
                              "limits.microbatches={0} simulates them",
                              s.microbatches, limits.microbatches));
  s.schedule = read_schedule(root.section_or_empty("schedule"), s.model, s.layout, s.microbatches, s.training,
                             s.software);
  s.stop = read_stop(training);
  s.phases = read_phases(training, s);
  s.failures = read_entry(root, "failures", "failures", "failure model", library, "default",
                          [](Section section, std::string_view) { return read_failures(section); });
  s.storage = read_entry(root, "storage", "storage", "storage", library, "default",
                         [](Section section, std::string_view) { return read_storage(section); });
  s.checkpoint = read_checkpoint(root.section_or_empty("checkpoint"), s.storage);
  s.recovery = read_recovery(root.section_or_empty("recovery"));
  s.economics = read_economics(root.section_or_empty("economics"), s.node.gpu);
  if (s.economics.hosts && s.node.host_power.value > 0)
    s.economics.assumptions.push_back(fmt::format(
        "A node draws {:.0f} W beside its GPUs, as the hardware library has it", s.node.host_power.value));
  if (document.ok()) add_spot(s);
  if (auto run = root.optional_section("run")) s.run = read_run(*run);
  s.assumptions = root.texts("assumptions");
  std::int64_t longest = s.training.sequence_length;
  for (const PhaseSpec& phase : s.phases) longest = std::max(longest, phase.sequence_length);
  if (s.model.positions > 0 && longest > s.model.positions)
    s.assumptions.push_back(
        fmt::format("Sequences of {} tokens, though the model has {} learned positions: more are "
                    "taken to cost nothing but time",
                    longest, s.model.positions));
  if (auto published = root.optional_section("published")) s.published = read_published_run(*published);
  if (root.ok() && s.placement == "file" && static_cast<int>(s.gpu_of.size()) < s.layout.world())
    root.fail("cluster", fmt::format("the placement file places {} ranks, but the job has {}",
                                     s.gpu_of.size(), s.layout.world()));
  s.places = {place(training.location("tokens")), place(root.location("checkpoint"))};
  if (document.ok()) check_phases(training, s, limits);
  if (document.ok()) resolve_stop(training, s);
  if (document.ok()) check_across(root, training, s, limits);
  document.finish();
  list_assumptions(s, s.assumptions);
  return s;
}

}  // namespace runcast
