// Collects GPUs and adapters of the dump, then writes what they make.
#include "scenarios/interchange/nccl_topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "scenarios/interchange/xml.hpp"
#include "scenarios/interchange/yaml_text.hpp"
#include "scenarios/library_entries.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

constexpr int kMaxGpus = 1024;

struct KnownDevice {
  std::string_view id, gpu;
};
// Vendor 0x10de and 0x1002 in the PCI ID database (pci-ids.ucw.cz, 2023-2026).
constexpr auto kDevices = std::to_array<KnownDevice>({
    {"0x2330", "h100"},          // GH100 [H100 SXM5 80GB]
    {"0x2331", "h100-pcie-80"},  // GH100 [H100 PCIe]
    {"0x2335", "h200"},          // GH100 [H200 SXM 141GB]
    {"0x2329", "h20"},           // GH100 [H20]
    {"0x2324", "h800"},          // GH100 [H800]
    {"0x2342", "gh200"},         // GH100 [GH200 120GB / 480GB]
    {"0x2901", "b200"},          // GB100 [B200]
    {"0x2941", "gb200"},         // GB100 [GB200]
    {"0x3182", "b300"},          // GB110 [B300 SXM6 AC]
    {"0x20b0", "a100-40"},       // GA100 [A100 SXM4 40GB]
    {"0x20b2", "a100-80"},       // GA100 [A100 SXM4 80GB]
    {"0x20b5", "a100-pcie-80"},  // GA100 [A100 PCIe 80GB]
    {"0x2236", "a10"},           // GA102GL [A10]
    {"0x2235", "a40"},           // GA102GL [A40]
    {"0x2230", "rtx-a6000"},     // GA102GL [RTX A6000]
    {"0x1db5", "v100-32"},       // GV100GL [Tesla V100 SXM2 32GB]
    {"0x74a1", "mi300x"},        // Aqua Vanjaram [Instinct MI300X]
});

// Where the device id tells nothing: compute capability and at least so many NVLinks, the first row that fits.
struct Capability {
  int sm, nvlinks;
  std::string_view gpu;
};
constexpr auto kCapabilities = std::to_array<Capability>({
    {70, 0, "v100-32"},
    {80, 12, "a100-80"},
    {80, 0, "a100-pcie-80"},
    {86, 4, "a40"},
    {86, 0, "a10"},
    {90, 18, "h100"},
    {90, 0, "h100-pcie-80"},
    {100, 0, "b200"},
    {103, 0, "b300"},
});

// Bytes per second and direction of one NVLink [NVIDIA datasheets: 600 GB/s of 12, 900 of 18, 1,800 of 18, both ways].
double nvlink_rate(int sm) { return sm >= 100 ? 50e9 : sm == 86 ? 14e9 : 25e9; }

struct DumpedGpu {
  int sm = 0, nvlinks = 0;
  std::string busid, device;
  double pcie = 0;
  std::map<std::string, int> switches, peers;  // NVLinks by target
};
struct DumpedNic {
  std::string name;
  double gbps = 0;
  bool beside_gpu = false;  // behind a PCIe switch with a GPU
};
struct Dump {
  std::vector<DumpedGpu> gpus;
  std::vector<DumpedNic> nics;
};

double number_in(std::string_view text) {
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && std::isfinite(value) ? value : 0;
}

bool holds_gpu(const XmlElement& e) { return e.name == "gpu" || std::ranges::any_of(e.children, holds_gpu); }

DumpedGpu read_gpu_element(const XmlElement& e, const XmlElement& pci, const std::string& where) {
  DumpedGpu gpu;
  gpu.sm = static_cast<int>(std::clamp(number_in(e.attribute("sm")), 0.0, 1000.0));
  gpu.busid = pci.attribute("busid");
  gpu.device = pci.attribute("device");
  // "32.0 GT/s PCIe" of so many lanes; a bit a transfer and lane.
  gpu.pcie = number_in(pci.attribute("link_speed")) * 1e9 * number_in(pci.attribute("link_width")) / 8;
  for (const XmlElement& link : e.children) {
    if (link.name != "nvlink") continue;
    const int count = static_cast<int>(std::clamp(number_in(link.attribute("count")), 0.0, 1000.0));
    gpu.nvlinks += count;
    const std::string_view kind = link.attribute("tclass");
    auto& ends = kind.starts_with("0x03") ? gpu.peers : gpu.switches;
    ends[std::string(link.attribute("target"))] += count;
  }
  if (gpu.sm == 0 && gpu.device.empty())
    throw ConfigError(fmt::format("{}:{}: a gpu has neither `sm` nor a PCI `device`", where, e.line));
  return gpu;
}

// `pci`: the element around; `beside`: it has a GPU below the same switch.
void collect(const XmlElement& e, const XmlElement& pci, bool beside, int depth, const std::string& where,
             Dump& dump) {
  if (e.name == "gpu") {
    dump.gpus.push_back(read_gpu_element(e, pci, where));
    return;
  }
  if (e.name == "net") {
    DumpedNic nic{std::string(e.attribute("name")), number_in(e.attribute("speed")) / 1e3, beside};
    if (nic.gbps > 0 && nic.gbps < 1e6) dump.nics.push_back(std::move(nic));
    return;
  }
  const bool is_pci = e.name == "pci";
  const bool is_switch = is_pci && !e.children.empty() && e.attribute("class").starts_with("0x0604");
  for (const XmlElement& child : e.children)
    collect(child, is_pci ? e : pci, beside || (is_switch && holds_gpu(e)), depth + 1, where, dump);
}

std::string guessed_gpu(const DumpedGpu& gpu, const std::string& where) {
  for (const KnownDevice& known : kDevices)
    if (gpu.device == known.id) return std::string(known.gpu);
  for (const Capability& row : kCapabilities)
    if (gpu.sm == row.sm && gpu.nvlinks >= row.nvlinks) return std::string(row.gpu);
  throw ConfigError(fmt::format(
      "{}: the GPU of PCI device '{}' and compute capability {} is not known; name the library's with --gpu",
      where, gpu.device, gpu.sm));
}

std::string scale_up_kind(const Dump& dump) {
  const DumpedGpu& first = dump.gpus.front();
  if (!first.switches.empty()) return "nvswitch";
  if (first.peers.empty()) return "pcie";
  return first.peers.size() == 1 && dump.gpus.size() > 2 ? "pairs" : "mesh";
}

// Adapters that training uses: of those beside GPUs, or of all, the speed that carries most.
std::vector<DumpedNic> training_nics(const Dump& dump, std::vector<std::string>& notes) {
  std::vector<DumpedNic> nics;
  std::ranges::copy_if(dump.nics, std::back_inserter(nics), &DumpedNic::beside_gpu);
  const bool placed = !nics.empty();
  if (!placed) nics = dump.nics;
  std::map<double, double> carried;
  for (const DumpedNic& nic : nics) carried[nic.gbps] += nic.gbps;
  double best = 0;
  for (const auto& [speed, sum] : carried)
    if (best == 0 || sum >= carried[best]) best = speed;
  std::erase_if(nics, [&](const DumpedNic& nic) { return nic.gbps != best; });
  for (const DumpedNic& nic : dump.nics)
    if (std::ranges::none_of(nics, [&](const DumpedNic& n) { return n.name == nic.name; }))
      notes.push_back(fmt::format("{} of {} Gbps is left out: {}", nic.name, nic.gbps,
                                  placed && !nic.beside_gpu ? "it is not behind a PCIe switch with a GPU"
                                                            : "most adapters have another speed"));
  return nics;
}

struct LibraryNode {
  std::string name;
  NodeSpec spec;
};

std::vector<LibraryNode> library_nodes(const Library& library) {
  std::vector<LibraryNode> nodes;
  for (const LibraryEntry& entry : library.entries()) {
    if (entry.folder != "hardware/nodes") continue;
    Document document = Document::parse(entry.text, entry.path);
    Section root = document.root();
    if (root.kind("gpu") != NodeKind::scalar) continue;
    const GpuSpec gpu = gpu_named(root.text("gpu"), library, entry.path);
    nodes.push_back({entry.name, read_node(root, gpu)});
  }
  return nodes;
}

// The node that what is not in the dump is taken from.
const LibraryNode& nearest(const std::vector<LibraryNode>& nodes, const std::string& kind, const GpuSpec& gpu,
                           double nic_gbps) {
  const LibraryNode* best = nullptr;
  int most = -1;
  for (const LibraryNode& node : nodes) {
    const NodeSpec& s = node.spec;
    const int score = (s.scale_up_kind == kind ? 8 : 0) + (s.gpu.name == gpu.name ? 4 : 0) +
                      (s.gpu.architecture == gpu.architecture ? 2 : 0) +
                      (std::abs(s.nic.bandwidth.value * 8 / 1e9 - nic_gbps) < 1 ? 1 : 0);
    if (score > most) best = &node, most = score;
  }
  INVARIANT(best != nullptr);
  return *best;
}

bool near(double a, double b) { return std::abs(a - b) <= 0.02 * std::max(a, b); }

std::string yaml_of(const ImportedNode& n, const LibraryNode& base, double scale_up,
                    const std::string& links) {
  const NodeSpec& s = base.spec;
  const std::string as = fmt::format("  # as the library's {}", base.name);
  const auto us = [](Seconds t) { return fmt::format("{:.6g} us", t.value * 1e6); };
  std::string out;
  const auto line = [&](std::string_view text) { out += fmt::format("{}\n", text); };
  line(fmt::format("# {} GPUs and {} network adapters, from a dump of NCCL's topology", n.gpus, n.nics));
  line(fmt::format("name: {}", yaml_quoted(n.name)));
  line(fmt::format("gpu: {}", n.gpu));
  line(fmt::format("gpus: {}", n.gpus));
  line("scale_up:");
  line(fmt::format("  name: {}", n.nvlinks > 0 ? "NVLink" : "PCIe"));
  line(fmt::format("  kind: {}", n.kind));
  if (n.kind == "pairs") line("  domain: 2");
  line(fmt::format("  bandwidth: {:.6g} GB/s  # {}", scale_up / 1e9, links));
  line(fmt::format("  latency: {}{}", us(s.scale_up.latency), as));
  line(fmt::format("  efficiency: {:.6g}{}", s.scale_up.efficiency, as));
  if (n.kind == "nvswitch" && s.in_switch_reduction) {
    line(fmt::format("  in_switch_reduction:{}", as));
    line(fmt::format("    efficiency: {:.6g}", s.in_switch_efficiency));
    line(fmt::format("    latency_per_gpu: {}", us(s.in_switch_latency)));
  }
  line("nic:");
  line(fmt::format("  name: {:.6g} Gbps", n.nic_gbps));
  line(fmt::format("  count: {}", n.nics));
  line(fmt::format("  bandwidth: {:.6g} Gbps", n.nic_gbps));
  line(fmt::format("  latency: {}{}", us(s.nic.latency), as));
  line(fmt::format("  efficiency: {:.6g}{}", s.nic.efficiency, as));
  line(fmt::format("host_link: {:.6g} GB/s  # PCIe of a GPU, per direction", n.pcie / 1e9));
  line(fmt::format("host_power: {:.6g} W{}", s.host_power.value, as));
  return out;
}

Dump read_dump(const std::string& xml, const std::string& where) {
  const XmlElement root = parse_xml(xml, where);
  if (root.name != "system")
    throw ConfigError(fmt::format("{}:{}: '{}' is no topology of NCCL, whose element is 'system'", where,
                                  root.line, root.name));
  Dump dump;
  collect(root, root, false, 0, where, dump);
  if (dump.gpus.empty()) throw ConfigError(fmt::format("{}: it has no gpu", where));
  if (dump.gpus.size() > kMaxGpus)
    throw ConfigError(
        fmt::format("{}: it has {} GPUs; at most {} are read", where, dump.gpus.size(), kMaxGpus));
  return dump;
}

void check_equal(const Dump& dump, std::vector<std::string>& notes) {
  const DumpedGpu& first = dump.gpus.front();
  for (std::size_t i = 1; i < dump.gpus.size(); ++i) {
    const DumpedGpu& gpu = dump.gpus[i];
    if (gpu.nvlinks != first.nvlinks)
      notes.push_back(fmt::format("GPU {} has {} NVLinks and GPU 0 has {}: the latter is written", gpu.busid,
                                  gpu.nvlinks, first.nvlinks));
    if (gpu.device != first.device)
      notes.push_back(fmt::format("GPU {} is another device than GPU 0: the latter is written", gpu.busid));
  }
}

}  // namespace

ImportedNode import_nccl_topology(const std::string& xml, const std::string& name, const std::string& where,
                                  const std::string& gpu, const Library& library) {
  const Dump dump = read_dump(xml, where);
  const DumpedGpu& first = dump.gpus.front();
  ImportedNode node;
  node.name = name;
  node.gpus = static_cast<int>(dump.gpus.size());
  node.nvlinks = first.nvlinks;
  node.kind = scale_up_kind(dump);
  node.gpu = gpu.empty() ? guessed_gpu(first, where) : gpu;
  const GpuSpec spec = gpu_named(node.gpu, library, "--gpu");
  const bool by_device =
      std::ranges::any_of(kDevices, [&](const KnownDevice& d) { return d.id == first.device; });
  if (gpu.empty())
    node.notes.push_back(fmt::format("the GPU is {}, by its {}; --gpu NAME names another", node.gpu,
                                     by_device ? "PCI device" : "compute capability and NVLinks"));
  check_equal(dump, node.notes);
  const std::vector<DumpedNic> nics = training_nics(dump, node.notes);
  const std::vector<LibraryNode> known = library_nodes(library);
  const LibraryNode& base = nearest(known, node.kind, spec, nics.empty() ? 0 : nics.front().gbps);
  node.nics = std::max<int>(1, static_cast<int>(nics.size()));
  node.nic_gbps = nics.empty() ? base.spec.nic.bandwidth.value * 8 / 1e9 : nics.front().gbps;
  if (nics.empty())
    node.notes.push_back(fmt::format(
        "the dump has no network adapter (a run on one node opens none): one as the library's {} is written",
        base.name));
  node.pcie = first.pcie;
  if (!(node.pcie > 0)) {
    node.pcie = base.spec.host_link.value;
    node.notes.push_back(
        fmt::format("the dump has no PCIe speed (a virtual machine): as the library's {}", base.name));
  }
  double scale_up = node.nvlinks * nvlink_rate(first.sm);
  std::string links =
      fmt::format("{} links of {:.6g} GB/s, per direction", node.nvlinks, nvlink_rate(first.sm) / 1e9);
  if (node.nvlinks == 0) scale_up = node.pcie, links = "PCIe, per direction";
  node.yaml = yaml_of(node, base, scale_up, links);
  const NodeSpec& s = base.spec;
  if (s.gpu.name == spec.name && s.gpus == node.gpus && s.scale_up_kind == node.kind && s.nics == node.nics &&
      near(s.scale_up.bandwidth.value, scale_up) && near(s.nic.bandwidth.value * 8 / 1e9, node.nic_gbps) &&
      near(s.host_link.value, node.pcie))
    node.same_as = base.name;
  return node;
}

}  // namespace runcast
