// FLOPs and bytes of one kernel -> seconds, against its stated form and against measured tables.
//   SimuMax configs/system/a100_pcie.json, b200_bf16_ceperm.json: GEMM and cuDNN attention through
//     Transformer Engine; causal attention counted there over the full square is halved here
//   flash-attention repository, assets/flash2_a100_fwd_bwd_benchmark.png, flash3_fp16_fwd.png: bar labels
#include "parallelism/kernel_time.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/topology/library.hpp"

namespace runcast {
namespace {

const Precision& bf16() { return *find_precision("bf16"); }

// A GPU of round figures: 132 SMs, 1 PFLOP/s, and memory so fast that only arithmetic counts.
GpuSpec plain_gpu() {
  GpuSpec gpu;
  gpu.sms = 132;
  gpu.peak.bf16 = FlopRate(1e15);
  gpu.memory_bandwidth = Bandwidth(1e18);
  gpu.kernels.gemm_efficiency.bf16 = 1;
  gpu.kernels.gemm_prologue_k.bf16 = 0;
  gpu.kernels.grouped_gemm = 1;
  return gpu;
}

// A library GPU with the constants that its kernel tables give alone. The library's own are those of whole training
// steps, where clocks sag and other kernels stand between; each of its lines names both.
GpuSpec benchmarked_gpu(const std::string& name) {
  GpuSpec gpu = load_gpu(name);
  KernelConstants& k = gpu.kernels;
  const bool ampere = gpu.architecture == "ampere", blackwell = gpu.architecture == "blackwell";
  k.gemm_efficiency.bf16 = k.gemm_efficiency.fp16 = ampere      ? (name == "a100-pcie-80" ? 0.772 : 0.83)
                                                    : blackwell ? 0.506
                                                                : 0.81;
  k.gemm_prologue_k.bf16 = k.gemm_prologue_k.fp16 = ampere ? 122 : blackwell ? 150 : 200;
  k.attention_flash2 = ampere ? 0.70 : 0.358;
  k.attention_cudnn = ampere ? 0.73 : blackwell ? 0.592 : 0.576;
  k.attention_half_sequence = ampere ? 430 : blackwell ? 250 : 400;
  k.attention_backward = ampere ? 0.86 : blackwell ? 0.74 : 0.87;
  k.kernel_overhead = Seconds(5.6e-6);
  return gpu;
}

double efficiency(const GpuSpec& gpu, const Gemm& g) {
  return g.flops() / peak_rate(gpu, bf16()) / gemm_time(gpu, bf16(), g, false);
}

struct MeasuredGemm {
  double m, n, k;
  bool accumulate;  // a weight gradient, added into fp32
  double tflops;
};

struct Errors {
  double mean_absolute = 0, mean = 0, worst = 0;
  int count = 0;
  void add(double error) {
    mean_absolute += std::abs(error);
    mean += error;
    worst = std::max(worst, std::abs(error));
    ++count;
  }
  void finish() {
    mean_absolute /= count;
    mean /= count;
  }
};

Errors gemm_errors(const GpuSpec& gpu, const std::vector<MeasuredGemm>& rows) {
  Errors errors;
  for (const MeasuredGemm& row : rows) {
    const Gemm g{row.m, row.n, row.k};
    errors.add(gemm_time(gpu, bf16(), g, row.accumulate) / (g.flops() / FlopRate(row.tflops * kTera)) - 1);
  }
  errors.finish();
  return errors;
}

// ---- the form -------------------------------------------------------------------------------------------

TEST_CASE("half of a last wave's emptiness is lost: 97 % full waves run at 98.5 % of peak") {
  // 8192 / 128 x 8192 / 256 = 2048 tiles on 132 SMs = 15.515 waves of 16, 97.0 % full;
  // 15.515 + (16 - 15.515) / 2 = 15.758 waves are paid: 15.515 / 15.758 = 0.9846
  CHECK(efficiency(plain_gpu(), {8192, 8192, 4096}) == doctest::Approx(0.98462).epsilon(1e-4));
}

TEST_CASE("one tile more than SMs falls to 71 % of the rate, and a small product fills what it can") {
  // 132 tiles of 128 x 256: one full wave. 133 of them: 1.0076 + 0.9924 / 2 = 1.504 waves; cut into 266 tiles
  // of 128 x 128 at .88 of the rate: (2.0152 + 0.9848 / 2) / 2 / .88 = 1.4248 waves, 133 / 132 / 1.4248
  // = 70.7 %. (With one tile shape and all of the last wave lost it would be 50 %.)
  const GpuSpec gpu = plain_gpu();
  CHECK(efficiency(gpu, {132 * 128, 256, 4096}) == doctest::Approx(1.0).epsilon(1e-12));
  CHECK(efficiency(gpu, {133 * 128, 256, 4096}) ==
        doctest::Approx(133 / 132.0 / ((266 / 132.0 + 3) / 4 / 0.88)).epsilon(1e-9));
  // 8 tiles of 128 x 256, or 32 of 64 x 128 at .74 of the rate: 32 / 132 x .74 = 17.9 % of peak.
  CHECK(efficiency(gpu, {512, 512, 4096}) == doctest::Approx(32 / 132.0 * 0.74).epsilon(1e-6));
}

TEST_CASE("each tile pays its prologue: K0 = 512 beside K = 1536 is 75 % of the rate") {
  GpuSpec gpu = plain_gpu();
  gpu.kernels.gemm_prologue_k.bf16 = 512;
  CHECK(efficiency(gpu, {132 * 128, 256, 1536}) == doctest::Approx(0.75).epsilon(1e-12));
}

TEST_CASE("groups of one product share its waves, at the grouped kernel's share of the rate") {
  // 132 experts with one tile each fill one wave, as one product of 132 tiles does.
  GpuSpec gpu = plain_gpu();
  const Seconds one = gemm_time(gpu, bf16(), {132 * 128, 256, 4096, 1}, false);
  CHECK(gemm_time(gpu, bf16(), {128, 256, 4096, 132, true}, false).value ==
        doctest::Approx(one.value).epsilon(1e-12));
  gpu.kernels.grouped_gemm = 0.8;
  CHECK(gemm_time(gpu, bf16(), {128, 256, 4096, 132, true}, false).value ==
        doctest::Approx(one.value / 0.8).epsilon(1e-12));
  CHECK(gemm_time(gpu, bf16(), {132 * 128, 256, 4096, 1}, false).value == one.value);
}

TEST_CASE(
    "a thin product takes its bytes over 85 % of HBM bandwidth, and fp32 accumulation 3 B an element more") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = Bandwidth(1e12);
  // [128, 4096] = [128, 64] x [64, 4096]: 2 B (128 x 64 + 64 x 4096 + 128 x 4096) = 1,589,248 B over 0.85e12
  // B/s
  const Gemm thin{128, 4096, 64};
  CHECK(gemm_time(gpu, bf16(), thin, false).value == doctest::Approx(1589248 / 0.85e12).epsilon(1e-9));
  CHECK(gemm_time(gpu, bf16(), thin, true).value ==
        doctest::Approx((1589248 + 3 * 128 * 4096) / 0.85e12).epsilon(1e-9));
}

TEST_CASE("no kernel of the library's GPUs is faster than its peak or its memory") {
  for (const char* name :
       {"v100-32", "a100-80", "a10", "h100", "h200", "b200", "gb300", "mi300x", "tpu-v5p"}) {
    CAPTURE(name);
    const GpuSpec gpu = load_gpu(name);
    const Precision& wide = gpu.peak.bf16.value > 0 ? bf16() : *find_precision("fp16");
    for (const double m : {1.0, 100.0, 129.0, 4096.0, 100000.0})
      for (const double n : {1.0, 130.0, 8192.0})
        for (const double k : {1.0, 64.0, 5000.0, 65536.0}) {
          CAPTURE(m);
          CAPTURE(n);
          CAPTURE(k);
          const Gemm g{m, n, k};
          const Seconds t = gemm_time(gpu, wide, g, false);
          CHECK(t >= g.flops() / peak_rate(gpu, wide));
          CHECK(t >= Bytes(2 * (m * k + k * n + m * n)) / gpu.memory_bandwidth);
        }
    for (const double s : {16.0, 128.0, 2048.0, 131072.0})
      for (const double heads : {1.0, 16.0, 128.0}) {
        CAPTURE(s);
        CAPTURE(heads);
        const AttentionShape shape{s, s, heads, heads, 128, 128};
        const Bytes qkvo(2 * 4 * s * heads * 128);
        for (const AttentionKernel kernel : {AttentionKernel::standard, AttentionKernel::flash2,
                                             AttentionKernel::cudnn, AttentionKernel::triton}) {
          const Seconds t = attention_forward_time(gpu, kernel, shape, wide);
          CHECK(t >= shape.forward_flops() / peak_rate(gpu, wide));
          CHECK(t >= qkvo / gpu.memory_bandwidth);
          CHECK(attention_backward_time(gpu, kernel, shape, wide) >= t);
        }
      }
  }
}

TEST_CASE("the work of causal attention is half the square") {
  // 4 s^2 d heads / 2 = 2 x 8192^2 x 128 x 128 = 2.199 TFLOP: LLaMA-3 405B's row of the operator table.
  CHECK(AttentionShape{8192, 8192, 128, 8, 128, 128}.forward_flops().value == 2199023255552.0);
}

TEST_CASE("longer sequences and more heads never lower the rate of an attention kernel") {
  const GpuSpec gpu = load_gpu("h100");
  double last = 0;
  for (const double s : {512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0}) {
    const AttentionShape shape{16384, s, 16, 16, 128, 128};
    const double rate = shape.forward_flops() /
                        attention_forward_time(gpu, AttentionKernel::cudnn, shape, bf16()) / FlopRate(1);
    CHECK(rate > last);
    last = rate;
  }
  last = 0;
  for (const double heads : {1.0, 2.0, 4.0, 16.0, 64.0}) {
    const AttentionShape shape{4096, 4096, heads, heads, 128, 128};
    const double rate = shape.forward_flops() /
                        attention_forward_time(gpu, AttentionKernel::cudnn, shape, bf16()) / FlopRate(1);
    CHECK(rate > last);
    last = rate;
  }
}

TEST_CASE("unfused attention computes the whole square and moves its scores") {
  // 9 B a score forward and 11 B backward over 85 % of 2039 GB/s are the least of it; flash has neither.
  const GpuSpec gpu = load_gpu("a100-80");
  const AttentionShape shape{8192, 2048, 8, 8, 128, 128};
  const double scores = 8192.0 * 2048 * 8;
  CHECK(attention_forward_time(gpu, AttentionKernel::standard, shape, bf16()) >
        2 * shape.forward_flops() / peak_rate(gpu, bf16()) + Bytes(9 * scores) / gpu.memory_bandwidth);
  CHECK(attention_backward_time(gpu, AttentionKernel::standard, shape, bf16()) >
        4 * shape.forward_flops() / peak_rate(gpu, bf16()) + Bytes(11 * scores) / gpu.memory_bandwidth);
  CHECK(attention_forward_time(gpu, AttentionKernel::standard, shape, bf16()) >
        attention_forward_time(gpu, AttentionKernel::flash2, shape, bf16()));
  // Heads of 100 elements are no multiple of 16 B: slow kernels, more than for 104.
  const AttentionShape odd{8192, 2048, 8, 8, 100, 100}, even{8192, 2048, 8, 8, 104, 104};
  CHECK(attention_forward_time(gpu, AttentionKernel::standard, odd, bf16()) >
        attention_forward_time(gpu, AttentionKernel::standard, even, bf16()));
}

// An attention kernel at half of the peak, without start-up, on sequences so long that s0 = 0 stands for them.
GpuSpec attention_gpu() {
  GpuSpec gpu = plain_gpu();
  KernelConstants& k = gpu.kernels;
  k.kernel_overhead = Seconds(0);
  k.attention_flash2 = k.attention_cudnn = k.attention_triton = k.attention_cudnn8 = 0.5;
  k.attention_half_sequence = 0;
  k.attention_backward = 1;
  return gpu;
}

// Share of the kernel's best rate, which is half of 1 PFLOP/s: forward, and backward with its 2.5 times the work.
double share_of_best(AttentionKernel kernel, double qk, double v, bool backward) {
  const AttentionShape shape{4096, 4096, 16, 16, qk, v};
  const Seconds time = backward ? attention_backward_time(attention_gpu(), kernel, shape, bf16())
                                : attention_forward_time(attention_gpu(), kernel, shape, bf16());
  return (backward ? 2.5 : 1) * (shape.forward_flops() / FlopRate(0.5e15) / time);
}

// FlashAttention's figures: 64-wide heads at .88 of 128-wide ones in FA2, .72 in FA3 and cuDNN; between them in
// proportion, 96 half way; wider heads gain no more.
TEST_CASE(
    "64-wide heads run at .88 of FlashAttention-2's rate and .72 of cuDNN's, 96-wide ones half way to all of "
    "it") {
  using enum AttentionKernel;
  struct Row {
    AttentionKernel kernel;
    double at_64, at_96;
  };
  for (const Row row :
       {Row{flash2, 0.88, 0.94}, Row{triton, 0.88, 0.94}, Row{cudnn, 0.72, 0.86}, Row{cudnn8, 0.72, 0.86}})
    for (const bool backward : {false, true}) {
      CHECK(share_of_best(row.kernel, 64, 64, backward) == doctest::Approx(row.at_64).epsilon(1e-9));
      CHECK(share_of_best(row.kernel, 96, 96, backward) == doctest::Approx(row.at_96).epsilon(1e-9));
      CHECK(share_of_best(row.kernel, 32, 32, backward) == doctest::Approx(row.at_64).epsilon(1e-9));
      CHECK(share_of_best(row.kernel, 128, 128, backward) == doctest::Approx(1).epsilon(1e-9));
      CHECK(share_of_best(row.kernel, 256, 256, backward) == doctest::Approx(1).epsilon(1e-9));
    }
}

// Latent attention, keys of 192 and values of 128: fitted on SimuMax's cuDNN tables, 88 points of A100 and B200.
TEST_CASE("unequal widths of keys and values run at .86 of the rate forward and .79 backward") {
  CHECK(share_of_best(AttentionKernel::cudnn, 192, 128, false) == doctest::Approx(0.86).epsilon(1e-9));
  CHECK(share_of_best(AttentionKernel::cudnn, 192, 128, true) == doctest::Approx(0.79).epsilon(1e-9));
}

// Two batched products forward, scores [s, s, d] and values [s, d, s]; their four gradients backward. Without traffic of
// scores that is all, but for the start-up of four softmax kernels.
TEST_CASE(
    "unfused attention is two batched products forward and four backward; other heads than of 8 n elements "
    "cost four times") {
  GpuSpec gpu = attention_gpu();
  const auto products = [&](double d) {
    return (gemm_time(gpu, bf16(), {2048, 2048, d, 4 * 8}, false) +
            gemm_time(gpu, bf16(), {2048, d, 2048, 4 * 8}, false))
        .value;
  };
  const auto forward = [&](double d) {
    return attention_forward_time(gpu, AttentionKernel::standard, {8192, 2048, 8, 8, d, d, 0}, bf16()).value;
  };
  const auto backward = [&](double d) {
    return attention_backward_time(gpu, AttentionKernel::standard, {8192, 2048, 8, 8, d, d, 0}, bf16()).value;
  };
  CHECK(forward(128) == doctest::Approx(products(128)).epsilon(1e-9));
  CHECK(backward(128) == doctest::Approx(2 * products(128)).epsilon(1e-9));
  CHECK(forward(100) == doctest::Approx(4 * products(100)).epsilon(1e-9));
  CHECK(backward(100) == doctest::Approx(8 * products(100)).epsilon(1e-9));
  gpu.kernels.kernel_overhead = Seconds(1);
  CHECK(forward(128) == doctest::Approx(4).epsilon(1e-3));
}

// 8192 x 2048 x 8 scores at 1 TB/s, all of it reached: 9 B each are 1.208 ms, 11 B 1.476 ms; eager kernels 1.5 times.
TEST_CASE("unfused attention moves 9 B a score forward and 11 B backward") {
  GpuSpec gpu = attention_gpu();
  gpu.memory_bandwidth = Bandwidth(1e12);
  gpu.kernels.memory_efficiency = 1;
  const auto moved = [&](double factor, bool backward) {
    const AttentionShape with{8192, 2048, 8, 8, 128, 128, factor}, without{8192, 2048, 8, 8, 128, 128, 0};
    const auto time = backward ? attention_backward_time : attention_forward_time;
    return 1e3 * (time(gpu, AttentionKernel::standard, with, bf16()) -
                  time(gpu, AttentionKernel::standard, without, bf16()))
                     .value;
  };
  const double scores = 8192.0 * 2048 * 8 * 1e-9;
  CHECK(moved(1, false) == doctest::Approx(9 * scores).epsilon(1e-9));
  CHECK(moved(1, true) == doctest::Approx(11 * scores).epsilon(1e-9));
  CHECK(moved(1.5, false) == doctest::Approx(13.5 * scores).epsilon(1e-9));
}

TEST_CASE("a streaming kernel takes its bytes at the reached bandwidth and a start-up per kernel") {
  GpuSpec gpu = plain_gpu();
  gpu.memory_bandwidth = Bandwidth(2e12);
  gpu.kernels.memory_efficiency = 0.8;
  gpu.kernels.kernel_overhead = Seconds(5e-6);
  CHECK(stream_time(gpu, Bytes(1.6e9), 2).value == doctest::Approx(1e-3 + 10e-6).epsilon(1e-12));
}

// ---- measured tables ------------------------------------------------------------------------------------

TEST_CASE("14 measured A100 products are met to 4 % on average and 15 % at worst") {
  // Every 13th of the 183 shapes by size, whose mean error is 2.8 %; shapes under 40 GFLOP err most.
  const Errors e =
      gemm_errors(benchmarked_gpu("a100-pcie-80"), {{4096, 576, 5120, false, 155.0},      // kern-0149
                                                    {4096, 4096, 1536, false, 232.9},     // kern-0237
                                                    {8192, 1024, 4096, true, 196.1},      // kern-0316
                                                    {4096, 4096, 3584, false, 220.1},     // kern-0245
                                                    {4096, 4096, 4096, false, 226.1},     // kern-0213
                                                    {4096, 7168, 4096, true, 215.7},      // kern-0196
                                                    {4096, 24576, 1536, false, 217.5},    // kern-0146
                                                    {4096, 4096, 14336, false, 236.4},    // kern-0231
                                                    {16128, 4096, 4096, true, 216.4},     // kern-0265
                                                    {4096, 7168, 16384, false, 231.6},    // kern-0185
                                                    {33024, 2048, 7168, false, 233.1},    // kern-0204
                                                    {16128, 8192, 4096, true, 219.5},     // kern-0325
                                                    {4096, 32128, 8192, false, 233.0},    // kern-0308
                                                    {4096, 8192, 64128, false, 235.2}});  // kern-0294
  INFO("mean absolute ", e.mean_absolute, ", mean ", e.mean, ", worst ", e.worst);
  CHECK(e.mean_absolute < 0.04);
  CHECK(std::abs(e.mean) < 0.03);
  CHECK(e.worst < 0.15);
}

TEST_CASE("the best measured shapes of a search are not beaten") {
  // The best of a shape search is an upper bound for what a step sees [stas00/ml-engineering, MAMF]:
  // A100-SXM 271.2, A100-PCIe 252.9, H100 794.5 TFLOP/s. 2 % for what the search did not try.
  const auto rate = [](const char* gpu, double m, double n, double k) {
    const Gemm g{m, n, k};
    return g.flops() / gemm_time(benchmarked_gpu(gpu), bf16(), g, false) / FlopRate(kTera);
  };
  CHECK(rate("a100-80", 1024, 10240, 5120) < 271.2 * 1.02);
  CHECK(rate("a100-pcie-80", 2048, 5120, 6144) < 252.9 * 1.02);
  CHECK(rate("h100", 2048, 2048, 13312) < 794.5 * 1.02);
}

TEST_CASE(
    "FlashAttention-2 and cuDNN on H100 run no faster than their measured curves, and keep their order") {
  // Benchmarks run cold; in a step the clock is lower (accuracy study: 0.43 of peak for cuDNN where the
  // figure has 0.54), so the shipped rate may lie below a figure, by at most 35 %, and not above it.
  const GpuSpec gpu = benchmarked_gpu("h100");
  const auto check = [&](AttentionKernel kernel, double length, double tflops) {
    const AttentionShape shape{16384, length, 16, 16, 128, 128};
    const double rate =
        shape.forward_flops() / attention_forward_time(gpu, kernel, shape, bf16()) / FlopRate(kTera);
    CAPTURE(length);
    CAPTURE(rate);
    CHECK(rate < tflops * 1.10);
    CHECK(rate > tflops * 0.65);
  };
  check(AttentionKernel::flash2, 1024, 260);
  check(AttentionKernel::flash2, 4096, 319);
  check(AttentionKernel::flash2, 16384, 335);
  check(AttentionKernel::cudnn, 1024, 410);
  check(AttentionKernel::cudnn, 4096, 518);
  check(AttentionKernel::cudnn, 8192, 529);
  const AttentionShape shape{16384, 8192, 16, 16, 128, 128};
  CHECK(attention_forward_time(gpu, AttentionKernel::cudnn, shape, bf16()) <
        attention_forward_time(gpu, AttentionKernel::flash2, shape, bf16()));
}

// .9 of the dense peak at the reference board's clock, 1.28 times that clock: 1.152 is no rate of these units.
TEST_CASE("a board with power to spare reaches its dense peak and no more") {
  GpuSpec gpu = plain_gpu();
  gpu.kernels.gemm_efficiency.bf16 = 0.9;
  CHECK(efficiency(gpu, {132 * 128, 256, 4096}) == doctest::Approx(0.9).epsilon(1e-12));
  gpu.kernels.power_factor = 1.28;
  CHECK(efficiency(gpu, {132 * 128, 256, 4096}) == doctest::Approx(1).epsilon(1e-12));
}

// A clock 1.2 times the sustained one for a kernel of no length, half of the surplus gone at burst_length, and with the
// square of the ratio after it: 1.1 at 300 us, 1 + .2 / (1 + 9) = 1.02 at 900 us.
TEST_CASE("a short kernel of a benchmark runs above the clock that the board's power sustains") {
  GpuSpec gpu = plain_gpu();
  gpu.kernels.burst_clock = 1.2;
  gpu.kernels.burst_length = Seconds(300e-6);
  const auto us = [&](double sustained) { return 1e6 * burst_time(gpu, Seconds(sustained * 1e-6)).value; };
  CHECK(us(1) == doctest::Approx(1 / 1.2).epsilon(1e-5));
  CHECK(us(300) == doctest::Approx(300 / 1.1).epsilon(1e-9));
  CHECK(us(900) == doctest::Approx(900 / 1.02).epsilon(1e-9));
}

// 131 SMs, and 131 is odd: 256 x 128 cuts [256, 131 x 128] into one wave of 131 tiles and 128 x 256 into 132, its
// transpose the other way round.
TEST_CASE("a product is cut along its longer side, whichever that is") {
  GpuSpec gpu = plain_gpu();
  gpu.sms = 131;
  CHECK(efficiency(gpu, {256, 131 * 128, 4096}) == doctest::Approx(1).epsilon(1e-12));
  CHECK(efficiency(gpu, {131 * 128, 256, 4096}) == doctest::Approx(1).epsilon(1e-12));
}

}  // namespace
}  // namespace runcast
