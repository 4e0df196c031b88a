// How a model is spread over ranks: the parallel degrees, the rank grid and the groups that it makes.
// world = tensor x context x pipeline x data. Experts have a grid of their own inside tensor x context x data:
// expert_tensor x expert x expert_data = tensor x context x data (folded, Megatron-Core).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "parallelism/model.hpp"
#include "sim/config.hpp"
#include "sim/units.hpp"

namespace runcast {

enum class Axis { tensor, context, pipeline, data };
std::string_view name_of(Axis);

struct Layout {
  int tensor = 1;
  bool sequence_parallel = false;
  int context = 1;
  std::string context_method = "allgather";  // allgather | ring | ulysses
  int pipeline = 1;
  int data = 1;
  int expert = 1;
  int expert_tensor = 1;
  std::array<Axis, 4> order = {Axis::tensor, Axis::context, Axis::pipeline, Axis::data};  // innermost first

  int world() const { return tensor * context * pipeline * data; }
  int degree(Axis) const;
  int expert_data() const { return tensor * context * data / (expert_tensor * expert); }
  // Ranks between neighbours along an axis: the product of the degrees inside it.
  int stride(Axis) const;
  // Rank at coordinates (all 0 but for those given).
  RankId rank(int t, int c, int p, int d) const;
  // The group along `axis` (or the product of two axes, the first innermost) that contains the rank at pipeline
  // stage `p` and zero elsewhere.
  std::vector<RankId> group(Axis axis, int p = 0) const;
  std::vector<RankId> group(Axis inner, Axis outer, int p) const;
};

// Reads the section and resolves `data: auto` from the number of GPUs. Degrees that do not multiply out, heads,
// experts and sequences that do not divide are sentences with the legal values, located at their keys.
Layout read_layout(Section section, const Model& model, std::int64_t gpus, std::int64_t sequence_length);

// The divisors of n next to a value that is none, and multiples next to one that is none: "2 or 4".
std::string nearest_divisors_text(std::int64_t n, std::int64_t value);
std::string nearest_multiples_text(std::int64_t value, std::int64_t of);

// "1 2 4 8": the divisors of n that also satisfy at most `limit`.
std::string divisors_text(std::int64_t n, std::int64_t limit);

}  // namespace runcast
