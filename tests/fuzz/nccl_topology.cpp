// NCCL's topology in XML: what was imported reads as a node of the library, or is refused.
#include "scenarios/interchange/nccl_topology.hpp"

#include "scenarios/library_entries.hpp"
#include "sim/config.hpp"
#include "tests/fuzz/targets.hpp"
#include "topology/hardware.hpp"

namespace runcast::fuzz {

void nccl_topology(std::string_view input) {
  static const Library library;
  answered([&] {
    const ImportedNode node = import_nccl_topology(std::string(input), "fuzzed", "topology.xml", "", library);
    Document document = Document::parse(node.yaml, "node.yaml");
    Section root = document.root();
    const GpuSpec gpu = gpu_named(root.text("gpu"), library, "node.yaml");
    (void)read_node(root, gpu);
    document.finish();
  });
}

}  // namespace runcast::fuzz
