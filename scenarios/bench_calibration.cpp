#include "scenarios/bench_calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>

#include "parallelism/kernel_time.hpp"
#include "scenarios/collective_curves.hpp"
#include "scenarios/csv.hpp"
#include "sim/error.hpp"
#include "topology/network.hpp"
#include "topology/tuner.hpp"

namespace runcast {

namespace {

constexpr std::string_view kGpus = "hardware/gpus", kNodes = "hardware/nodes";

// Benchmarks know more than any starting value: wide priors, that only break ties.
constexpr double kWide = 0.7;

GpuSpec read_gpu_entry(const std::string& name, const Library& library, std::string_view where) {
  const LibraryEntry& entry = library.get(kGpus, name, "GPU", where);
  Document document = Document::parse(entry.text, entry.path);
  GpuSpec gpu = read_gpu(document.root());
  document.finish();
  return gpu;
}

// ---- matrix products ------------------------------------------------------------------------------------------

template <double ByFormat<double>::*Format>
double& efficiency(Scenario& s) {
  return s.node.gpu.kernels.gemm_efficiency.*Format;
}
template <double ByFormat<double>::*Format>
double& prologue(Scenario& s) {
  return s.node.gpu.kernels.gemm_prologue_k.*Format;
}

struct FormatFields {
  std::string_view precision;
  FittedField efficiency, prologue;
};
using D = ByFormat<double>;
constexpr std::array<FormatFields, 7> kFormats = {{
    {"fp32",
     {"kernels.gemm_efficiency.fp32", efficiency<&D::fp32>},
     {"kernels.gemm_prologue_k.fp32", prologue<&D::fp32>}},
    {"tf32",
     {"kernels.gemm_efficiency.tf32", efficiency<&D::tf32>},
     {"kernels.gemm_prologue_k.tf32", prologue<&D::tf32>}},
    {"fp16",
     {"kernels.gemm_efficiency.fp16", efficiency<&D::fp16>},
     {"kernels.gemm_prologue_k.fp16", prologue<&D::fp16>}},
    {"bf16",
     {"kernels.gemm_efficiency.bf16", efficiency<&D::bf16>},
     {"kernels.gemm_prologue_k.bf16", prologue<&D::bf16>}},
    {"fp8",
     {"kernels.gemm_efficiency.fp8", efficiency<&D::fp8>},
     {"kernels.gemm_prologue_k.fp8", prologue<&D::fp8>}},
    {"mxfp8",
     {"kernels.gemm_efficiency.mxfp8", efficiency<&D::mxfp8>},
     {"kernels.gemm_prologue_k.mxfp8", prologue<&D::mxfp8>}},
    {"nvfp4",
     {"kernels.gemm_efficiency.nvfp4", efficiency<&D::nvfp4>},
     {"kernels.gemm_prologue_k.nvfp4", prologue<&D::nvfp4>}},
}};

struct TimedGemm {
  Gemm shape;
  const Precision* precision = nullptr;
  Seconds time;
};

// One row of the file; the errors go to `errors`.
class GemmReader {
 public:
  GemmReader(const CsvTable& table, const GpuSpec& gpu) : table_(table), gpu_(gpu) {
    for (const char* title : {"m", "n", "k"})
      if (!table.column(title)) fail(table.header_line, fmt::format("the column '{}' is missing", title));
    if (!table.column("time_us") && !table.column("tflops"))
      fail(table.header_line, "a column 'time_us' or 'tflops' is missing");
    finish();
  }

  std::vector<TimedGemm> read() {
    std::vector<TimedGemm> list;
    for (const CsvRow& row : table_.rows) list.push_back(read_row(row));
    if (list.empty()) fail(table_.header_line, "there is no row below the header");
    finish();
    return list;
  }

 private:
  TimedGemm read_row(const CsvRow& row) {
    TimedGemm g;
    g.shape.m = positive(row, "m", 0);
    g.shape.n = positive(row, "n", 0);
    g.shape.k = positive(row, "k", 0);
    g.shape.groups = positive(row, "groups", 1);
    const std::string word = text(row, "precision", "bf16");
    g.precision = find_precision(word);
    if (g.precision == nullptr)
      fail(row.line, fmt::format("unknown precision '{}'", word));
    else if (peak_rate(gpu_, *g.precision).value <= 0)
      fail(row.line, fmt::format("{} has no {} units", gpu_.name, word));
    const bool known = g.precision != nullptr && peak_rate(gpu_, *g.precision).value > 0;
    g.time = table_.column("time_us") ? Seconds(positive(row, "time_us", 0) * 1e-6)
                                      : g.shape.flops() / FlopRate(positive(row, "tflops", 0) * kTera);
    if (known && g.shape.flops() / g.time > peak_rate(gpu_, *g.precision))
      fail(row.line, fmt::format("{:.4g} TFLOP/s is above the dense peak of {:.4g}",
                                 (g.shape.flops() / g.time).value / kTera,
                                 peak_rate(gpu_, *g.precision).value / kTera));
    return g;
  }

  std::string text(const CsvRow& row, std::string_view title, const std::string& fallback) const {
    const auto column = table_.column(title);
    return column && !row.cells[*column].empty() ? row.cells[*column] : fallback;
  }

  // A number of more than 0; `fallback` where the cell may be empty, 0 where it may not.
  double positive(const CsvRow& row, std::string_view title, double fallback) {
    const std::string cell = text(row, title, fallback > 0 ? fmt::format("{}", fallback) : "");
    char* end = nullptr;
    const double value = std::strtod(cell.c_str(), &end);
    const bool good = !cell.empty() && *end == '\0' && value > 0 && value < 1e15;
    if (!good) fail(row.line, fmt::format("{} must be a number of more than 0, not '{}'", title, cell));
    return good ? value : 1;
  }

  void fail(int line, const std::string& sentence) {
    errors_ += fmt::format("{}{}:{}: {}", errors_.empty() ? "" : "\n", table_.name, line, sentence);
  }
  void finish() const {
    if (!errors_.empty()) throw ConfigError(errors_);
  }

  const CsvTable& table_;
  const GpuSpec& gpu_;
  std::string errors_;
};

// ---- nccl-tests -----------------------------------------------------------------------------------------------

struct TestName {
  std::string_view word;
  Collective collective;
};
constexpr std::array<TestName, 6> kTests = {{{"all_reduce", Collective::all_reduce},
                                             {"all_gather", Collective::all_gather},
                                             {"reduce_scatter", Collective::reduce_scatter},
                                             {"alltoall", Collective::all_to_all},
                                             {"broadcast", Collective::broadcast},
                                             {"sendrecv", Collective::send_receive}}};

const TestName* test_in(std::string_view text) {
  for (const TestName& test : kTests)
    if (text.find(test.word) != std::string_view::npos) return &test;
  return nullptr;
}

struct NcclLine {
  double size = 0, time_us = 0, algorithm_rate = 0, bus_rate = 0;
  std::string reduction;  // "sum", "none" or ""
};

bool is_number(const std::string& word) {
  char* end = nullptr;
  std::strtod(word.c_str(), &end);
  return !word.empty() && *end == '\0';
}

// Launchers put the rank before each line: "[1,0]<stdout>:" (mpirun --tag-output), "0: " (srun --label).
std::string untagged(const std::string& line) {
  const std::size_t tag = line.starts_with('[') ? line.find(">:") : std::string::npos;
  if (tag != std::string::npos) return line.substr(tag + 2);
  const std::size_t digits = line.find_first_not_of(" 0123456789");
  const bool label = digits != std::string::npos && digits > 0 && line.compare(digits, 2, ": ") == 0;
  return label ? line.substr(digits + 2) : line;
}

// size count type [redop] [root] time algbw busbw ...: the columns differ by test and version. `root` is whether the
// head of the table has that column; without a head a word without a point is taken for it where a time still follows.
bool parse_line(const std::string& line, std::optional<bool> has_root, NcclLine& out) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  if (words.size() < 6 || !is_number(words[0]) || !is_number(words[1]) || is_number(words[2])) return false;
  std::size_t at = 3;
  if (!is_number(words[at])) out.reduction = words[at++];
  const bool looks_so =
      at < words.size() && words[at].find('.') == std::string::npos && at + 3 < words.size();
  const bool root = has_root.value_or(looks_so);
  if (root && !out.reduction.empty()) ++at;
  if (at + 2 >= words.size() || !is_number(words[at]) || !is_number(words[at + 1]) ||
      !is_number(words[at + 2]))
    return false;
  out.size = std::strtod(words[0].c_str(), nullptr);
  out.time_us = std::strtod(words[at].c_str(), nullptr);
  out.algorithm_rate = std::strtod(words[at + 1].c_str(), nullptr);
  out.bus_rate = std::strtod(words[at + 2].c_str(), nullptr);
  return true;
}

// Sizes and times that a machine can have; nan and inf pass as numbers.
bool is_measured(const NcclLine& row) {
  constexpr double kLargest = 1e15, kLongest = 1e12;  // 1 PB, 12 days
  return row.size > 0 && row.size <= kLargest && row.time_us > 0 && row.time_us <= kLongest;
}

// The largest transfer has the most digits: bus over algorithm bandwidth is 2(n-1)/n, (n-1)/n or 1.
Collective inferred(const NcclLine& largest, int ranks) {
  const double n = ranks, ratio = largest.bus_rate / std::max(1e-9, largest.algorithm_rate);
  if (std::abs(ratio - 2 * (n - 1) / n) < 0.02) return Collective::all_reduce;
  if (std::abs(ratio - (n - 1) / n) < 0.02)
    return largest.reduction == "sum" ? Collective::reduce_scatter : Collective::all_gather;
  return Collective::broadcast;
}

// Links inside a node are told by runs on one node; over several nodes the slowest part hides the others, and the
// NICs are what such a run is made for.
std::vector<Constant> link_constants(std::string_view node, const NodeSpec& spec, const CollectiveRun& run) {
  std::vector<Constant> list;
  auto add = [&](std::string_view name, std::string_view sentence, const FittedField& field) {
    const bool latency = !field.unit.empty();
    list.push_back({name,
                    sentence,
                    kNodes,
                    {node},
                    {field},
                    latency ? 0.1e-6 : 0.02,
                    latency ? 500e-6 : 1,
                    kWide,
                    true});
  };
  if (run.nodes > 1) {
    add("nic.efficiency", "bandwidth of a NIC alone, of nominal",
        {"nic.efficiency", [](Scenario& s) -> double& { return s.node.nic.efficiency; }});
    add("nic.latency", "one step over the network",
        {"nic.latency", [](Scenario& s) -> double& { return s.node.nic.latency.value; }, "us", 1e-6});
    return list;
  }
  add("scale_up.latency", "one step over the scale-up links",
      {"scale_up.latency", [](Scenario& s) -> double& { return s.node.scale_up.latency.value; }, "us", 1e-6});
  // Large all-reduces go through the switch where it can add: rings are then told by the other collectives alone.
  if (!spec.in_switch_reduction || run.collective != Collective::all_reduce) {
    add("scale_up.efficiency", "ring bandwidth of the scale-up links, of nominal",
        {"scale_up.efficiency", [](Scenario& s) -> double& { return s.node.scale_up.efficiency; }});
    return list;
  }
  add("in_switch_reduction.efficiency", "all-reduce in the switch, of nominal",
      {"scale_up.in_switch_reduction.efficiency",
       [](Scenario& s) -> double& { return s.node.in_switch_efficiency; }});
  add("in_switch_reduction.latency_per_gpu", "start of an all-reduce in the switch, per GPU",
      {"scale_up.in_switch_reduction.latency_per_gpu",
       [](Scenario& s) -> double& { return s.node.in_switch_latency.value; }, "us", 1e-6});
  return list;
}

Seconds collective_time(const Scenario& s, const CollectiveRun& run, Bytes size) {
  const Fabric fabric(s.node, s.nodes, s.fabric);
  const Network network(fabric, packed_placement(run.ranks));
  std::vector<RankId> ranks;
  for (int r = 0; r < run.ranks; ++r) ranks.emplace_back(r);
  return network.collective(run.collective, size, network.group(ranks, 1), kBenchmarkLaunch).time;
}

}  // namespace

CalibrationStudy gemm_study(std::string_view csv, const std::string& file, const std::string& gpu,
                            const Library& library, const CalibrationRequest& request,
                            const ExperimentOptions& options) {
  Scenario scenario;
  scenario.node.gpu = read_gpu_entry(gpu, library, "--gpu");
  const CsvTable table = parse_csv(csv, file);
  const std::vector<TimedGemm> timed = GemmReader(table, scenario.node.gpu).read();
  std::vector<MeasuredStep> measured;
  std::set<std::string_view> formats;
  for (const TimedGemm& g : timed) {
    formats.insert(g.precision->name);
    MeasuredStep row;
    row.id = fmt::format("{} {:g} x {:g} x {:g}", g.precision->name, g.shape.m, g.shape.n, g.shape.k);
    if (g.shape.groups > 1) row.id += fmt::format(", {:g} groups", g.shape.groups);
    row.scenario = scenario;
    row.measured = g.time;
    row.predict = [g](const Scenario& s) {
      return burst_time(s.node.gpu, gemm_time(s.node.gpu, *g.precision, g.shape, false));
    };
    measured.push_back(std::move(row));
  }
  const std::string_view entry = library.get(kGpus, gpu, "GPU", "--gpu").name;
  std::vector<Constant> constants;
  for (const FormatFields& f : kFormats) {
    if (!formats.contains(f.precision)) continue;
    constants.push_back({f.efficiency.key,
                         "of the peak of its format",
                         kGpus,
                         {entry},
                         {f.efficiency},
                         0.02,
                         1,
                         kWide,
                         true});
    constants.push_back({f.prologue.key,
                         "prologue and epilogue of a tile, in elements of K",
                         kGpus,
                         {entry},
                         {f.prologue},
                         8,
                         2e4,
                         1,
                         true});
  }
  return benchmark_study(measured, constants, library, request, options);
}

namespace {

// By size, of equal sizes the median; thinned to as many as a fit needs.
std::vector<CollectiveRun::Row> merged(std::vector<CollectiveRun::Row> rows) {
  constexpr std::size_t kMost = 200;
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    return std::pair(a.size.value, a.time.value) < std::pair(b.size.value, b.time.value);
  });
  std::vector<CollectiveRun::Row> sizes;
  for (std::size_t begin = 0; begin < rows.size();) {
    std::size_t end = begin + 1;
    while (end < rows.size() && rows[end].size == rows[begin].size) ++end;
    sizes.push_back(rows[begin + (end - begin - 1) / 2]);
    begin = end;
  }
  if (sizes.size() <= kMost) return sizes;
  std::vector<CollectiveRun::Row> kept;
  for (std::size_t i = 0; i < kMost; ++i) kept.push_back(sizes[i * (sizes.size() - 1) / (kMost - 1)]);
  return kept;
}

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!words.back().empty())
      words.emplace_back();
  }
  return words;
}

// "h100" of the library's h100-pcie-80, "a6000" of rtx-a6000: the word that devices are named by.
std::string device_word(std::string_view gpu) {
  for (const std::string& word : words_in(gpu))
    if (word.find_first_of("0123456789") != std::string::npos) return word;
  return std::string(gpu);
}

// Devices of the log that are another GPU of the library than the node's.
std::vector<std::string> other_devices(const CollectiveRun& run, const std::string& node, const GpuSpec& gpu,
                                       const Library& library) {
  std::vector<std::string> warnings;
  const std::string ours = device_word(gpu.name);
  for (const std::string& device : run.devices) {
    const std::vector<std::string> words = words_in(device);
    const auto named = [&](const std::string& word) { return std::ranges::find(words, word) != words.end(); };
    const std::vector<std::string> known = library.names(kGpus);
    const bool is_known =
        std::ranges::any_of(known, [&](const std::string& n) { return named(device_word(n)); });
    if (is_known && !named(ours))
      warnings.push_back(
          fmt::format("the log is of {}, and the GPU of {} is {}: its constants are fitted to another",
                      device, node, gpu.name));
  }
  return warnings;
}

}  // namespace

CollectiveRun read_nccl_tests(std::string_view text, const std::string& file) {
  CollectiveRun run;
  constexpr std::size_t kMostDevices = 20, kLongestDevice = 80;
  std::set<std::string> hosts, devices;
  std::string named;
  NcclLine largest;
  std::istringstream in{std::string(text)};
  std::optional<bool> has_root;
  for (std::string line; std::getline(in, line);) {
    line = untagged(line);
    if (line.starts_with("#") && line.find(" algbw") != std::string::npos)
      has_root = line.find(" root ") != std::string::npos;
    if (line.find("Collective test starting") != std::string::npos) named = line;
    // #  Rank  0 Group  0 Pid  12345 on   host-a device  0 [0x1b] NVIDIA H100
    const auto rank = line.find(" Rank "), on = line.find(" on ");
    if (line.starts_with("#") && rank != std::string::npos && on != std::string::npos && on > rank) {
      std::string host;
      std::istringstream(line.substr(on + 4)) >> host;
      hosts.insert(host);
      ++run.ranks;
      // "device  0 [0x1b] NVIDIA H100 80GB HBM3"
      const std::size_t bracket = line.find("] ", on);
      if (bracket != std::string::npos && devices.size() < kMostDevices) {
        std::string device = line.substr(bracket + 2, kLongestDevice);
        while (!device.empty() && std::isspace(static_cast<unsigned char>(device.back())) != 0)
          device.pop_back();
        if (!device.empty()) devices.insert(device);
      }
    }
    NcclLine row;
    if (line.starts_with("#") || !parse_line(line, has_root, row) || !is_measured(row)) continue;
    run.rows.push_back({Bytes(row.size), Seconds(row.time_us * 1e-6)});
    if (row.size > largest.size) largest = row;
  }
  if (run.rows.empty())
    throw ConfigError(fmt::format(
        "{}: no row of nccl-tests: its table has size, count, type, ..., time, algbw, busbw", file));
  if (run.ranks < 2)
    throw ConfigError(fmt::format(
        "{}: the lines '#  Rank 0 ... on HOST device 0' are missing, which tell the ranks", file));
  run.nodes = static_cast<int>(hosts.size());
  run.rows = merged(std::move(run.rows));
  run.devices.assign(devices.begin(), devices.end());
  const TestName* test = test_in(named);
  if (test == nullptr) test = test_in(file);
  run.collective = test != nullptr ? test->collective : inferred(largest, run.ranks);
  return run;
}

CalibrationStudy nccl_study(const CollectiveRun& run, const std::string& node, const Library& library,
                            const CalibrationRequest& request, const ExperimentOptions& options) {
  Scenario scenario;
  scenario.node = library_node(node, library, "--node");
  const int per_node = run.ranks / run.nodes;
  if (per_node * run.nodes != run.ranks || per_node != scenario.node.gpus)
    throw ConfigError(
        fmt::format("--nccl: {} ranks on {} hosts, where {} has {} GPUs a node; run one rank on each GPU",
                    run.ranks, run.nodes, node, scenario.node.gpus));
  scenario.nodes = run.nodes;
  scenario.fabric.name = "benchmark";
  scenario.fabric.kind = run.nodes > 1 ? "clos" : "none";
  scenario.fabric.rails = true;
  scenario.fabric.routing_efficiency = 1;  // nothing else on the network
  if (run.nodes > 1) scenario.fabric.tiers.push_back({"leaf", 0, 1.0, Seconds(0.3e-6), 1});
  std::vector<MeasuredStep> measured;
  CollectiveRun shape = run;  // what a prediction needs
  shape.rows.clear();
  for (const CollectiveRun::Row& row : run.rows) {
    MeasuredStep m;
    m.id = fmt::format("{} of {:.0f} B", name_of(run.collective), row.size.value);
    m.scenario = scenario;
    m.measured = row.time;
    m.predict = [shape, size = row.size](const Scenario& s) { return collective_time(s, shape, size); };
    measured.push_back(std::move(m));
  }
  const LibraryEntry& entry = library.get(kNodes, node, "node", "--node");
  CalibrationStudy study =
      benchmark_study(measured, link_constants(entry.name, scenario.node, run), library, request, options);
  (*study.document)["warnings"] = other_devices(run, node, scenario.node.gpu, library);
  return study;
}

}  // namespace runcast
