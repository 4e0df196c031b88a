// The topology that NCCL dumps (NCCL_TOPO_DUMP_FILE) as a node of the library: which GPU and how many, how they are
// joined, the network adapters, the host link.
//   GPU       by its PCI device id (pci-ids.ucw.cz), else by compute capability and number of NVLinks
//   NVLinks   to bridges (class 0x0680) are an NVSwitch; to GPUs a mesh, or pairs where each has one peer
//   adapters  those behind a PCIe switch with a GPU, since others carry storage; all where none is
// What a dump does not say (latencies, efficiencies, host power) is that of the library's nearest node, told by name.
// Leaves out: which adapter is nearest to which GPU, NUMA distances, C2C links.
// Source of elements and attributes: NVIDIA/nccl, src/graph/xml.cc, and dumps in its issues 1182 and 1505.
#pragma once

#include <string>
#include <vector>

#include "scenarios/library.hpp"

namespace runcast {

struct ImportedNode {
  std::string name, gpu;  // of the library
  int gpus = 0, nvlinks = 0, nics = 0;
  std::string kind;                // of the scale-up links
  double nic_gbps = 0, pcie = 0;   // of one; bytes per second
  std::string same_as;             // the library's node that has the same figures; "" for none
  std::string yaml;                // an entry of hardware/nodes/
  std::vector<std::string> notes;  // what was guessed or left out
};

// `gpu`: the library's GPU, "" to guess it. Throws ConfigError for text that is no such dump, and for a GPU that can
// not be told.
ImportedNode import_nccl_topology(const std::string& xml, const std::string& name, const std::string& where,
                                  const std::string& gpu, const Library&);

}  // namespace runcast
