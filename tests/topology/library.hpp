// The hardware library's files for the tests of this folder, read from the source tree.
#pragma once

#include <string>

#include "sim/config.hpp"
#include "topology/hardware.hpp"

inline std::string library_path(const std::string& folder, const std::string& name) {
  return std::string(RUNCAST_SOURCE_DIR) + "/scenarios/library/" + folder + "/" + name + ".yaml";
}

inline runcast::GpuSpec load_gpu(const std::string& name) {
  auto document = runcast::Document::load(library_path("hardware/gpus", name));
  runcast::GpuSpec gpu = runcast::read_gpu(document.root());
  document.finish();
  return gpu;
}

inline runcast::NodeSpec load_node(const std::string& name) {
  auto document = runcast::Document::load(library_path("hardware/nodes", name));
  const runcast::GpuSpec gpu = load_gpu(document.root().text("gpu"));
  runcast::NodeSpec node = runcast::read_node(document.root(), gpu);
  document.finish();
  return node;
}

inline runcast::FabricSpec load_fabric(const std::string& name) {
  auto document = runcast::Document::load(library_path("fabrics", name));
  runcast::FabricSpec fabric = runcast::read_fabric(document.root());
  document.finish();
  return fabric;
}
