#include "scenarios/library_entries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace runcast {

namespace {

template <class Read>
auto entry_named(const std::string& name, std::string_view folder, std::string_view kind,
                 const Library& library, std::string_view where, Read read) {
  const bool path = name.find('/') != std::string::npos || name.ends_with(".yaml") || name.ends_with(".yml");
  const LibraryEntry* entry = path ? nullptr : &library.get(folder, name, kind, where);
  Document document = path ? Document::load(name) : Document::parse(entry->text, entry->path);
  auto value = read(document.root());
  document.finish();
  return value;
}

}  // namespace

Model model_named(const std::string& name, const Library& library, std::string_view where) {
  return entry_named(name, "models", "model", library, where,
                     [&](Section section) { return read_model(section, name); });
}

GpuSpec gpu_named(const std::string& name, const Library& library, std::string_view where) {
  return entry_named(name, "hardware/gpus", "GPU", library, where,
                     [](Section section) { return read_gpu(section); });
}

SoftwareProfile software_named(const std::string& name, const Library& library, std::string_view where) {
  return entry_named(name, "software", "software profile", library, where,
                     [&](Section section) { return read_software_profile(section, name); });
}

const Precision& precision_on(const GpuSpec& gpu, const std::string& name, std::string_view where) {
  std::vector<std::string> has;
  for (const Precision& p : precisions())
    if (peak_rate(gpu, p).value > 0) has.emplace_back(p.name);
  const Precision* found = find_precision(name);
  if (found == nullptr)
    throw ConfigError(
        fmt::format("{}: unknown precision '{}'; {} has {}", where, name, gpu.name, fmt::join(has, ", ")));
  if (peak_rate(gpu, *found).value <= 0)
    throw ConfigError(
        fmt::format("{}: {} has no {} units; it has {}", where, gpu.name, name, fmt::join(has, ", ")));
  return *found;
}

int gpus_of_node(std::string_view gpu, const Library& library) {
  std::int64_t most = 1;
  for (const LibraryEntry& entry : library.entries()) {
    if (entry.folder != "hardware/nodes") continue;
    Document document = Document::parse(entry.text, entry.path);
    Section node = document.root();
    if (node.kind("gpu") == NodeKind::scalar && node.text("gpu") == gpu)
      most = std::max(most, node.count("gpus", 8));
  }
  return static_cast<int>(std::min<std::int64_t>(most, 1024));
}

Dollars list_price(const GpuSpec& gpu) { return (gpu.price_low + gpu.price_high) / 2; }

}  // namespace runcast
