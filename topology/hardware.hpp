// What one GPU, link, NIC and node is: datasheet figures, and the fractions of them that kernels and
// collectives are measured to reach. Read from the hardware library (scenarios/library/hardware/*.yaml),
// where each number carries its source on its line. Leaves out: CPU, PCIe switches inside a node.
#pragma once

#include <string>
#include <vector>

#include "sim/config.hpp"
#include "sim/units.hpp"
#include "topology/measured_curve.hpp"

namespace runcast {

// One value per number format of matrix arithmetic. 0 = the GPU has no such units.
template <class T>
struct ByFormat {
  T fp32{}, tf32{}, fp16{}, bf16{}, fp8{}, mxfp8{}, nvfp4{};
};

// What kernels reach of the peaks on this GPU; read by parallelism/kernel_time, which states the formulas.
struct KernelConstants {
  ByFormat<double> gemm_efficiency;      // of the dense peak, large GEMM without tile and wave losses; 0..1
  ByFormat<double> gemm_prologue_k;      // K0: prologue and epilogue of a tile, in elements of K
  double memory_efficiency = 0.9;        // of the HBM bandwidth, streaming kernels
  Seconds kernel_overhead{5e-6};         // start-up and tail of one memory-bound kernel on the GPU
  double attention_flash2 = 0.5;         // FlashAttention-2, of the 16-bit peak: head size 128, long sequence
  double attention_cudnn = 0.5;          // cuDNN / FlashAttention-3 class kernels, likewise
  double attention_triton = 0.4;         // Triton or ALiBi kernels, likewise
  double attention_cudnn8 = 0.4;         // fused attention of cuDNN 8 and early 9 (2023-2024), likewise
  double attention_half_sequence = 250;  // s0: sequence length at which a kernel reaches half of that
  double attention_backward = 0.85;      // backward rate over forward rate
  double grouped_gemm = 0.9;             // rate of grouped GEMM (experts) over that of one GEMM of its shape
  double cast_traffic = 1.24;         // HBM traffic of narrow-format casts over the bytes that they must move
  double permute_traffic = 2.1;       // likewise for gathering and scattering tokens by expert
  double exchange_efficiency = 0.74;  // all-to-all over the scale-up link, of what rings reach there
  double overlap_slowdown = 0.18;     // of compute while a collective runs on the same GPU at NVLink speed
  double burst_clock =
      1.0;  // clock of a kernel run for a moment, over the one that the board's power sustains
  Seconds burst_length{300e-6};  // kernel time at which half of that is gone
  double power_factor = 1.0;     // clock under the board's power limit, against the reference board
};

struct GpuSpec {
  std::string name, vendor, architecture;  // architecture: volta ampere hopper blackwell cdna3 tpu
  int sms = 0;                             // streaming multiprocessors (TPU: tensor cores)
  ByFormat<FlopRate> peak;                 // dense, never "with sparsity"
  FlopRate vector_rate;                    // fp32 outside the matrix units
  Bytes capacity;                          // usable memory (YAML: capacity_gib), not the nominal name
  Bandwidth memory_bandwidth;
  Watts tdp, idle_power;
  Dollars price_low, price_high;  // on demand, per GPU-hour; 0 = not sourced
  KernelConstants kernels;

  // fp8 matrix units of Hopper take K-major operands only, so that weight gradients need transposed copies;
  // Blackwell's take all layouts [Transformer Engine, fp8 primer].
  bool narrow_needs_transpose() const { return architecture == "hopper"; }
};

// One class of link. `bandwidth` is nominal, per direction and per GPU (scale-up) or per port (NIC).
struct LinkSpec {
  std::string name;
  Bandwidth bandwidth;
  Seconds latency;          // alpha of one hop, as a collective's step sees it
  double efficiency = 1.0;  // bus bandwidth that large ring collectives reach, of nominal
};

struct NodeSpec {
  std::string name;
  GpuSpec gpu;
  int gpus = 8;               // per node (a tray of an NVL72 rack is a node of 4)
  int scale_up_domain = 8;    // GPUs that share one NVLink/ICI domain; a multiple or a divisor of nodes' GPUs
  std::string scale_up_kind;  // a row of scale_up_builders(): nvswitch | pairs | mesh | pcie | torus
  int torus_axes = 0;         // torus: axes of the ICI mesh, which share `scale_up.bandwidth`
  LinkSpec scale_up;
  bool in_switch_reduction = false;  // NVLS: NVSwitch sums and multicasts
  double in_switch_efficiency = 0;   // all-reduce: of nominal, in units of S/b (see collective.hpp)
  Seconds in_switch_latency;         // per GPU of the group: start and fill of the NVLS pipeline
  int nics = 8;
  LinkSpec nic;
  Bandwidth host_link;  // PCIe (or C2C) per GPU and direction, for offload
  Watts host_power;     // CPUs, fans, NICs: what is not GPU boards
  // Collectives that were measured on this entry or on one of its architecture; whoever reads the library fills it.
  std::vector<MeasuredCurve> measured;
};

// Each reads every key of its section but `gpu` of a node, which the caller reads, to find the GPU in the
// library (and to place an error about it). Values out of range are errors at their place.
GpuSpec read_gpu(Section);
NodeSpec read_node(Section, const GpuSpec& gpu);

// One tier of a Clos above the node's NICs, from the leaf up.
struct TierSpec {
  std::string name;               // leaf, pod, spine, ...
  int nodes = 0;                  // nodes below one switch group of this tier; 0 = all of them
  double oversubscription = 1.0;  // bandwidth into the tier from below / bandwidth out to the next tier up
  Seconds latency;                // added by crossing this tier's switches, one way
  int switches = 4;  // parallel switches of one group (equal-cost paths); leaves: 1, or one per rail
};

enum class Routing { adaptive, ecmp };  // see topology/paths.hpp

// Routers that hold nodes and are joined by cables of their own: kinds dragonfly and torus (topology/router_fabrics).
struct RouterSpec {
  int nodes = 1;           // of one router
  std::vector<int> sides;  // torus: routers along each axis; empty: as near to a cube as `axes` allow
  int axes = 3;            // torus
  int group = 0;           // dragonfly: routers of a group, each joined to each
  int global_links = 0;    // dragonfly: of a router, to other groups
  Bandwidth link;          // one direction of one cable between routers
  Seconds latency, global_latency;  // of a hop; of one between groups
};

struct FabricSpec {
  std::string name;
  std::string kind = "clos";  // a row of fabric_builders(): none | clos | dragonfly | torus
  bool rails = false;         // NIC i of each node meets NIC i of the others on its own leaf
  std::vector<TierSpec> tiers;
  RouterSpec routers;
  bool tiered() const { return kind == "none" || kind == "clos"; }  // else of routers
  // Of what a NIC reaches alone, under the load of a training step: ECMP collisions, bursts, other groups.
  // 0.76 x a NIC's 0.92 = the 0.70 of nominal that published steps fit (accuracy study, starting constant).
  double routing_efficiency = 0.76;
  Routing routing = Routing::adaptive;  // of flows (network: flow)
  int queue_pairs = 1;                  // of a flow, each with a path of its own under ecmp
  bool in_network_reduction = false;    // SHARP: switches sum and multicast
  Watts power_per_port;                 // switches and optics, per NIC port
};

FabricSpec read_fabric(Section);

}  // namespace runcast
