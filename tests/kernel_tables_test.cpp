// The kernel model against every measured GEMM and attention time of the shipped table (scenarios/library/published/
// kernels.csv), source by source, since sources conflict: each is read with the constants that fit it alone. What a
// step reaches is lower (clocks sag, kernels alternate) and is fitted on steps; the form is the same.
//   SimuMax measures through Transformer Engine's autograd: the host's fixed time per call is part of its figures and
//   stands here as `call`; in a step the host runs ahead (parallelism/stage_cost).
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "parallelism/kernel_time.hpp"
#include "scenarios/csv.hpp"
#include "tests/topology/library.hpp"

namespace runcast {
namespace {

const Precision& bf16() { return *find_precision("bf16"); }

struct TableRow {
  std::string gpu, op, pass, causal;
  std::map<std::string, std::string> shape;  // "m" -> "4096"
  double tflops = 0;
  double number(const std::string& key) const {
    const std::string& text = shape.at(key);
    return std::atof(text.c_str()) * (text.back() == 'k' ? 1024 : 1);
  }
};

std::vector<TableRow> table() {
  const std::string path = std::string(RUNCAST_SOURCE_DIR) + "/scenarios/library/published/kernels.csv";
  std::ifstream file(path);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const CsvTable csv = parse_csv(bytes, path);
  const auto cell = [&](const CsvRow& row, const char* title) {
    return row.cells[csv.column(title).value()];
  };
  std::vector<TableRow> rows;
  for (const CsvRow& line : csv.rows) {
    TableRow row{cell(line, "gpu"), cell(line, "op"), cell(line, "pass"), cell(line, "causal"), {}, 0};
    row.tflops = std::atof(cell(line, "value").c_str());
    std::string text = cell(line, "shape");
    for (char& c : text)
      if (c == ',' || c == '(') c = ' ';
    std::istringstream words(text);
    for (std::string word; words >> word;)
      if (const auto equals = word.find('='); equals != std::string::npos)
        row.shape[word.substr(0, equals)] = word.substr(equals + 1);
    rows.push_back(std::move(row));
  }
  return rows;
}

struct Errors {
  double mean_absolute = 0, mean = 0;
  int count = 0;
  void add(double error) {
    mean_absolute += std::abs(error), mean += error;
    ++count;
  }
  void finish() { mean_absolute /= count, mean /= count; }
};

// ---- GEMM: m x k by k x n, TFLOP/s; weight gradients accumulate in fp32
// -----------------------------------------------------

Errors products(const GpuSpec& gpu, const std::string& measured_on) {
  Errors errors;
  for (const TableRow& row : table()) {
    if (row.op != "matmul" || row.gpu != measured_on) continue;
    const Gemm g{row.number("m"), row.number("n"), row.number("k"), row.number("b")};
    const Seconds sustained = gemm_time(gpu, bf16(), g, row.shape.at("accumulate") == "True");
    errors.add(burst_time(gpu, sustained) / (g.flops() / FlopRate(row.tflops * kTera)) - 1);
  }
  errors.finish();
  return errors;
}

TEST_CASE("all 183 GEMMs measured on A100 are met to 3.5 % on average") {
  GpuSpec gpu = load_gpu("a100-pcie-80");
  gpu.kernels.gemm_efficiency.bf16 = 0.772;
  gpu.kernels.gemm_prologue_k.bf16 = 133;
  const Errors e = products(gpu, "A100 PCIe 80GB");
  CHECK(e.count == 183);
  CAPTURE(e.mean);
  CHECK(e.mean_absolute < 0.035);
}

TEST_CASE("all 514 GEMMs measured on B200 are met to 10 % on average") {
  // Short kernels run at .64 of the peak, long ones at .49, with both among like shapes in between: the clock of a
  // board that has not yet drawn its full power. Without burst_clock the same form errs by 11.9 %.
  GpuSpec gpu = load_gpu("b200");
  gpu.kernels.gemm_efficiency.bf16 = 0.506;
  gpu.kernels.gemm_prologue_k.bf16 = 273;
  gpu.kernels.power_factor = 1;
  const Errors e = products(gpu, "B200 SXM");
  CHECK(e.count == 514);
  CAPTURE(e.mean);
  CHECK(e.mean_absolute < 0.10);
  gpu.kernels.burst_clock = 1;
  CHECK(products(gpu, "B200 SXM").mean_absolute > 0.11);
}

// ---- attention
// -----------------------------------------------------------------------------------------------------

// Constants of one source: level and shape of the library's curve, and the host's time of a call.
struct Source {
  std::string gpu, measured_on, op;
  AttentionKernel kernel;
  double level, half_sequence, backward;
  Seconds forward_call, backward_call;
};

GpuSpec constants_of(const Source& source) {
  GpuSpec gpu = load_gpu(source.gpu);
  KernelConstants& k = gpu.kernels;
  k.attention_flash2 = k.attention_cudnn = source.level;
  k.attention_half_sequence = source.half_sequence;
  k.attention_backward = source.backward;
  k.kernel_overhead = Seconds(0);
  k.power_factor = 1;
  return gpu;
}

// SimuMax counts causal attention over the full square, the figures of flash-attention over its half.
Errors attention(const Source& source) {
  const GpuSpec gpu = constants_of(source);
  Errors errors;
  for (const TableRow& row : table()) {
    const bool simumax = source.op == "sdp";
    if (row.gpu != source.measured_on || row.causal.rfind("yes", 0) != 0) continue;
    if (simumax ? row.op.rfind("sdp_", 0) != 0 : row.op != source.op) continue;
    AttentionShape shape;
    if (simumax) {
      shape = {row.number("seq_len"),     row.number("seq_len"),     row.number("head_num"),
               row.number("kv_head_num"), row.number("qk_head_dim"), row.number("v_head_dim")};
    } else {  // 16 k tokens, hidden 2048
      const double width = row.number("headdim");
      shape = {16384, row.number("seqlen"), 2048 / width, 2048 / width, width, width};
    }
    const bool both = row.pass == "fwd+bwd", backward = row.op == "sdp_bwd";
    Seconds time(0);
    if (!backward) time += attention_forward_time(gpu, source.kernel, shape, bf16()) + source.forward_call;
    if (backward || both)
      time += attention_backward_time(gpu, source.kernel, shape, bf16()) + source.backward_call;
    const double work = both ? 3.5 : backward ? 2.5 : 1;
    errors.add(time / (work * shape.forward_flops() / FlopRate(row.tflops / (simumax ? 2 : 1) * kTera)) - 1);
  }
  errors.finish();
  return errors;
}

TEST_CASE("attention on A100: 24 points of cuDNN and 12 of FlashAttention-2 to 3 %") {
  const Errors cudnn = attention({"a100-pcie-80", "A100 PCIe 80GB", "sdp", AttentionKernel::cudnn,
                                  227 / 312.0, 430, 0.781, Seconds(120e-6), Seconds(161e-6)});
  CHECK(cudnn.count == 24);
  CHECK(cudnn.mean_absolute < 0.03);
  const Errors flash2 =
      attention({"a100-80", "A100 80GB SXM4", "attention FlashAttention-2", AttentionKernel::flash2,
                 219.2 / 312, 460, 0.861, Seconds(22e-6), Seconds(22e-6)});
  CHECK(flash2.count == 12);
  CHECK(flash2.mean_absolute < 0.03);
}

TEST_CASE("attention on H100: FlashAttention-2, FlashAttention-3 and cuDNN to 5 %") {
  const Errors flash2 =
      attention({"h100", "H100 80GB SXM5", "attention FlashAttention-2", AttentionKernel::flash2,
                 354.2 / 989.4, 400, 0.915, Seconds(5e-6), Seconds(94e-6)});
  CHECK(flash2.count == 18);
  CHECK(flash2.mean_absolute < 0.05);
  const Errors flash3 =
      attention({"h100", "H100 80GB SXM5", "attention FlashAttention-3", AttentionKernel::cudnn,
                 685.5 / 989.4, 600, 0.861, Seconds(9e-6), Seconds(20e-6)});
  CHECK(flash3.count == 18);
  CHECK(flash3.mean_absolute < 0.05);
  const Errors cudnn = attention({"h100", "H100 80GB SXM5", "attention cuDNN", AttentionKernel::cudnn,
                                  570.3 / 989.4, 400, 0.861, Seconds(3e-6), Seconds(20e-6)});
  CHECK(cudnn.count == 6);
  CHECK(cudnn.mean_absolute < 0.05);
}

TEST_CASE("attention on B200: 64 points of cuDNN, 4 to 128 heads and 4 k to 131 k tokens, to 8 %") {
  const Errors e = attention({"b200", "B200 SXM", "sdp", AttentionKernel::cudnn, 1332.8 / 2250, 250, 0.742,
                              Seconds(63e-6), Seconds(33e-6)});
  CHECK(e.count == 64);
  CAPTURE(e.mean);
  CHECK(e.mean_absolute < 0.08);
}

}  // namespace
}  // namespace runcast
