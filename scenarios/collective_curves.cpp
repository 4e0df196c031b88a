#include "scenarios/collective_curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>

#include "scenarios/csv.hpp"
#include "sim/config.hpp"
#include "sim/error.hpp"

namespace runcast {

namespace {

struct Word {
  std::string_view word;
  Collective collective;
};
constexpr std::array<Word, 6> kWords{{{"all_reduce", Collective::all_reduce},
                                      {"all_gather", Collective::all_gather},
                                      {"reduce_scatter", Collective::reduce_scatter},
                                      {"alltoall", Collective::all_to_all},
                                      {"broadcast", Collective::broadcast},
                                      {"sendrecv", Collective::send_receive}}};

class CurveReader {
 public:
  CurveReader(const CsvTable& table, const Library& library, std::string_view architecture)
      : table_(table), library_(library), architecture_(architecture) {
    for (const char* title : {"node", "collective", "ranks", "nodes", "size_bytes", "time_us", "source"})
      if (!table.column(title))
        throw ConfigError(
            fmt::format("{}:{}: the column '{}' is missing", table.name, table.header_line, title));
  }

  std::vector<MeasuredCurve> read() {
    for (const CsvRow& row : table_.rows) add(row);
    return std::move(curves_);
  }

 private:
  const std::string& cell(const CsvRow& row, std::string_view title) const {
    return row.cells[*table_.column(title)];
  }

  double positive(const CsvRow& row, std::string_view title) const {
    const std::string& text = cell(row, title);
    double value = 0;
    const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
    if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !(value > 0) || value > 1e15)
      throw ConfigError(fmt::format("{}:{}: {} must be a number of more than 0, not '{}'", table_.name,
                                    row.line, title, text));
    return value;
  }

  // Each entry is read once; nothing for an entry of another architecture.
  const std::shared_ptr<const NodeSpec>& reference(const CsvRow& row) {
    const std::string& name = cell(row, "node");
    const auto known = references_.find(name);
    if (known != references_.end()) return known->second;
    NodeSpec node = library_node(name, library_, fmt::format("{}:{}", table_.name, row.line));
    auto& kept = references_[name];
    if (node.gpu.architecture == architecture_) kept = std::make_shared<const NodeSpec>(std::move(node));
    return kept;
  }

  void add(const CsvRow& row) {
    if (cell(row, "node").empty()) return;
    const auto collective = collective_of(cell(row, "collective"));
    if (!collective)
      throw ConfigError(
          fmt::format("{}:{}: unknown collective '{}'", table_.name, row.line, cell(row, "collective")));
    const std::shared_ptr<const NodeSpec>& node = reference(row);
    if (node == nullptr) return;
    const int ranks = static_cast<int>(positive(row, "ranks")),
              nodes = static_cast<int>(positive(row, "nodes"));
    auto curve = std::find_if(curves_.begin(), curves_.end(), [&](const MeasuredCurve& c) {
      return c.reference == node && c.collective == *collective && c.ranks == ranks && c.nodes == nodes;
    });
    if (curve == curves_.end())
      curve = curves_.insert(curve, {*collective, ranks, nodes, node, {}, cell(row, "source")});
    curve->points.push_back({Bytes(positive(row, "size_bytes")), Seconds(positive(row, "time_us") * 1e-6)});
  }

  const CsvTable& table_;
  const Library& library_;
  std::string_view architecture_;
  std::map<std::string, std::shared_ptr<const NodeSpec>> references_;
  std::vector<MeasuredCurve> curves_;
};

}  // namespace

std::optional<Collective> collective_of(std::string_view word) {
  for (const Word& known : kWords)
    if (known.word == word) return known.collective;
  return std::nullopt;
}

NodeSpec library_node(const std::string& name, const Library& library, std::string_view where) {
  const LibraryEntry& entry = library.get("hardware/nodes", name, "node", where);
  Document document = Document::parse(entry.text, entry.path);
  Section root = document.root();
  const LibraryEntry& gpu_entry = library.get("hardware/gpus", root.text("gpu"), "GPU", entry.path);
  Document gpu_document = Document::parse(gpu_entry.text, gpu_entry.path);
  const GpuSpec gpu = read_gpu(gpu_document.root());
  gpu_document.finish();
  NodeSpec node = read_node(root, gpu);
  document.finish();
  return node;
}

std::vector<MeasuredCurve> collective_curves(const Library& library, std::string_view architecture) {
  const LibraryEntry* entry = library.find("published", "collectives");
  if (entry == nullptr) return {};
  return CurveReader(parse_csv(entry->text, entry->path), library, architecture).read();
}

}  // namespace runcast
