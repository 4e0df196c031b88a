// What one pass of one pipeline stage costs on one rank: operators priced by kernel_time and the network, layer
// by layer, split into compute, exposed communication by kind and host time.
//   layer time = (gpu^4 + host^4)^(1/4): the slower of the GPU and the CPU that issues its kernels, rounded at the
//                crossing because both vary
//   ZeRO-3     per layer all-gather (and reduce-scatter) on a second stream, one layer ahead of compute
//   offload    what layers keep goes out behind their forward pass and comes back behind their backward pass
// A collective beside a GEMM slows it (KernelConstants::overlap_slowdown) and is exposed past its end.
// Expert all-to-alls are exposed here; a slot that fuses a forward with a backward hides them (fused_cost).
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "parallelism/operators.hpp"
#include "parallelism/rank_parameters.hpp"
#include "sim/units.hpp"
#include "topology/network.hpp"

namespace runcast {

// Time of one pass; the parts sum to its length. `host`: what the CPU's issue time adds, and `offload` what moving
// activations to host memory and back adds, to the GPU's time.
struct PassCost {
  Seconds compute, tensor, context, expert, data, host, offload;
  Seconds issue;  // of the CPU for all kernels of the pass; not a part of its length
  Seconds gpu() const { return compute + tensor + context + expert + data; }
  Seconds total() const { return gpu() + host + offload; }
  PassCost& operator+=(const PassCost&);
  friend PassCost operator*(double k, PassCost c);
};

// Volume of one kind of collective, per pass of a stage and rank.
struct CommunicationUse {
  CommunicationGroup group = CommunicationGroup::tensor;
  Collective collective = Collective::all_gather;
  double count = 0;
  Bytes bytes;  // sum of full tensors S
  Seconds time, exposed;
};

// A forward and a backward of two micro-batches as one operation: the all-to-alls of each run beside the compute of
// the other and slow it by `slowdown` of their time [DeepSeek-V3 2024, sec. 3.2.1: 20 of 132 SMs communicate].
PassCost fused_cost(const PassCost& forward, const PassCost& backward, double slowdown);

struct StagePass {
  PassCost cost;
  Flops model_flops, hardware_flops;  // of this rank; hardware counts recomputation
  std::vector<CommunicationUse> communication;
  void add(const StagePass&, double times);
};

// Forward, fused backward, input gradient, weight gradient; recomputation is in the backward and input gradient.
struct StageCost {
  StagePass forward, backward, input_gradient, weight_gradient;
};

// The groups of the representative rank, priced once.
struct GroupTable {
  GroupLinks tensor, context, expert, expert_tensor, data, shard, expert_data,
      copies;             // data: data x context; shard: ranks that share one copy;
                          // expert_data: replicas of an expert; copies: one rank of each shard group
  GroupLinks ends;        // first and last pipeline rank, which hold tied embeddings
  double data_share = 0;  // speed of the data group's link against NVLink: how much it slows compute
  // `stage_copies`: 2 where each stage lies on two pipeline ranks (DualPipe); their replicas are one group.
  static GroupTable of(const Network&, const Layout&, const Sharding&, int stage_copies = 1);
  const GroupLinks& operator[](CommunicationGroup) const;
};

// Speed of a group's bottleneck link against NVLink: how much of a GPU its collectives keep from compute.
double link_share(const GroupLinks&);

// Time to bring a sharded tensor to all ranks of its group: an all-gather, and what its owners add where each
// broadcasts its own share after the others (SoftwareProfile::owner_overhead).
// Bytes of a parameter on the wire of a gather.
double gather_bytes(const SoftwareProfile&, const Precision&);
Seconds parameter_gather(const Network&, const SoftwareProfile&, Bytes size, const GroupLinks&);

// An embedding, a layer or a head by its operators, for timelines. `exposed` of a collective's time has no compute
// beside it.
struct PricedOperator {
  std::string_view name;
  OperatorKind kind = OperatorKind::stream;
  CommunicationGroup group = CommunicationGroup::tensor;  // kind collective
  Collective collective = Collective::all_gather;
  Seconds time, exposed;
  Bytes size{};  // collective: the full tensor; else what it moves through memory
};
struct PartPass {
  Seconds total;  // with what the host adds
  std::vector<PricedOperator> operators;
};
struct StagePart {
  std::string name;  // "embedding", "L12", "head"
  PartPass forward, backward, input_gradient, weight_gradient;
};
// [global stage] its parts in the order of a forward pass. What ZeRO-3 gathers and reduces is the whole stage's.
std::vector<std::vector<StagePart>> stage_parts(const StepShape&, const ScheduleSpec&, const Network&,
                                                const GroupTable&, bool split_backward);

// The layers, embedding and head of one shape, priced once: stages are their sums. `accounts`: also what is
// communicated, which whoever wants times alone leaves out.
class LayerPrices {
 public:
  LayerPrices(const StepShape&, const Network&, const GroupTable&, bool split_backward, bool accounts);
  // Of the same shape; only sharding, and what of it overlaps, may be another than the layers were priced with.
  StageCost stage(const StepShape&, const ScheduleSpec&, const Network&, const GroupTable&, int stage) const;

 private:
  friend std::vector<std::vector<StagePart>> stage_parts(const StepShape&, const ScheduleSpec&, const Network&,
                                                         const GroupTable&, bool split_backward);
  class Table;
  std::shared_ptr<const Table> table_;
  bool split_;
};
// [global stage] of the schedule, in the order of ScheduleSpec::stage_layers.
std::vector<StageCost> stage_costs(const StepShape&, const ScheduleSpec&, const Network&, const GroupTable&,
                                   bool split_backward);

}  // namespace runcast
