// A training step for tests: its parts in one place, simulated on the library's hardware or on hardware of
// round figures. Read from the source tree.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "parallelism/training_step.hpp"
#include "tests/topology/library.hpp"
#include "topology/fabric.hpp"
#include "topology/network.hpp"
#include "topology/placement.hpp"

namespace runcast {

inline Model load_model(const std::string& name) {
  Document document = Document::load(library_path("models", name));
  Model model = read_model(document.root(), name);
  document.finish();
  return model;
}

inline SoftwareProfile load_profile(const std::string& name) {
  Document document = Document::load(library_path("software", name));
  SoftwareProfile profile = read_software_profile(document.root(), name);
  document.finish();
  return profile;
}

struct StepCase {
  NodeSpec node = load_node("hgx-h100");
  FabricSpec fabric = load_fabric("infiniband-ndr-rail");
  Model model = load_model("llama3-8b");
  SoftwareProfile profile = load_profile("megatron");
  Layout layout;
  TrainingSpec training;
  std::string schedule = "1f1b";
  int virtual_stages = 1;
  int group_size = 0;
  PointToPoint point_to_point = PointToPoint::overlapped;
  GradientNorm gradient_norm = GradientNorm::barrier;
  bool fuse_pairs = false;
  std::int64_t microbatches = 8;
  std::vector<std::int64_t> stage_layers;  // empty: even

  StepCase() {
    training.precision = find_precision("bf16");
    training.sequence_length = 8192;
  }

  ScheduleSpec spec() const {
    ScheduleSpec s;
    s.row = find_schedule(schedule);
    s.virtual_stages = virtual_stages;
    s.group_size = group_size;
    s.point_to_point = point_to_point;
    s.gradient_norm = gradient_norm;
    s.fuse_pairs = fuse_pairs;
    const int stages = schedule == "dualpipe" ? layout.pipeline : layout.pipeline * virtual_stages;
    s.stage_layers = stage_layers;
    if (s.stage_layers.empty())
      s.stage_layers.assign(static_cast<std::size_t>(stages), model.layers / stages);
    return s;
  }

  int nodes() const { return (layout.world() + node.gpus - 1) / node.gpus; }

  StepResult run() const {
    const Fabric built(node, nodes(), fabric);
    const Network network(built, packed_placement(layout.world()));
    TrainingSpec t = training;
    t.global_batch = microbatches * t.micro_batch * layout.data;
    const ScheduleSpec s = spec();
    StepInput in;
    in.model = &model;
    in.layout = &layout;
    in.training = &t;
    in.schedule = &s;
    in.profile = &profile;
    in.network = &network;
    in.microbatches = microbatches;
    return simulate_step(in);
  }
};

}  // namespace runcast
