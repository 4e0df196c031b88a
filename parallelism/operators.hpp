// One transformer layer, the embedding and the head as lists of operators for one rank and one micro-batch:
// matrix products, attention, streaming kernels and collectives, for the forward pass, the input gradient, the
// weight gradient and what recomputation runs again. Shapes and bytes: Korthikanti et al. 2022; Megatron-Core.
// Experts: rows of the busiest rank (Experts::load); the router's choice itself is not simulated.
//   T = micro_batch x sequence / context tokens of the rank; widths divided by tensor.
// Leaves out: dropout's random numbers, position tables.
#pragma once

#include <string_view>
#include <vector>

#include "parallelism/kernel_time.hpp"
#include "parallelism/layout.hpp"
#include "parallelism/model.hpp"
#include "parallelism/training.hpp"
#include "topology/collective.hpp"

namespace runcast {

enum class OperatorKind { gemm, attention_forward, attention_backward, stream, collective };
// Which group of ranks a collective runs over.
enum class CommunicationGroup { tensor, context, expert, expert_tensor, data };
std::string_view name_of(CommunicationGroup);

struct Operator {
  std::string_view name;
  OperatorKind kind = OperatorKind::stream;
  Gemm gemm;                     // kind gemm
  bool wide = false;             // gemm: stays 16-bit under fp8
  bool accumulate = false;       // gemm: adds into fp32
  bool weight_gradient = false;  // belongs to the weight gradient
  AttentionShape attention;      // kind attention_*
  Bytes bytes;                   // stream: HBM traffic; collective: full tensor S
  bool is_cast = false;          // stream: a cast to a narrow format
  Bytes transpose;               // cast: of the K-major copy, where the GPU's narrow units need one
  bool is_permute = false;       // stream: a gather or scatter of tokens by expert
  int kernels = 1;
  CommunicationGroup group = CommunicationGroup::tensor;  // kind collective
  Collective collective = Collective::all_gather;
  // collective: runs beside this GEMM of the same list (its index); -1 = exposed where it stands.
  int hides_behind = -1;
  // collective of the tensor group: the GEMM of the same list (its index) that reads what it gathers, or writes what it
  // reduces, and is cut into pieces to run beside it where tensor-parallel traffic is overlapped; -1 = none.
  int cuts = -1;
  // Flops counted as the model's work; gemm and attention.
  Flops flops() const;
};
using OperatorList = std::vector<Operator>;

struct LayerOperators {
  OperatorList forward;
  OperatorList backward;                         // fused: each weight gradient follows its input gradient
  OperatorList input_gradient, weight_gradient;  // split, for zero-bubble schedules
  OperatorList recompute;                        // run before either backward
};

struct StepShape {
  const Model* model = nullptr;
  const Layout* layout = nullptr;
  const TrainingSpec* training = nullptr;
  const SoftwareProfile* profile = nullptr;
  double tokens() const;  // T
};

LayerOperators layer_operators(const StepShape&, bool moe_layer, bool windowed = false);
// What a module of multi-token prediction adds to a layer and a head of its own: the norms of the last hidden state
// and of the next token's embedding, and their projection to one [DeepSeek-V3 2024, eq. 21].
LayerOperators prediction_operators(const StepShape&);
LayerOperators embedding_operators(const StepShape&);
LayerOperators head_operators(const StepShape&);

Flops total_flops(const OperatorList&);

}  // namespace runcast
