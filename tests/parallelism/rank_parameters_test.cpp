// What one tensor rank holds of a layer, counted matrix by matrix.
#include "parallelism/rank_parameters.hpp"

#include <doctest/doctest.h>

#include "tests/parallelism/steps.hpp"

namespace runcast {
namespace {

// 8 heads over 16 ranks: each holds one whole head of K and V where its share is half of one.
TEST_CASE("a tensor rank that outnumbers key and value heads holds whole ones") {
  const Model m = load_model("llama3-405b");
  Layout l;
  l.tensor = 16;
  const double matrices = 3'187'703'808.0 - 2 * 16384, norms = 2 * 16384;
  CHECK(layer_rank_parameters(m, l, false).dense ==
        doctest::Approx(matrices / 16 + norms + 2 * 0.5 * 16384 * 128).epsilon(1e-12));
}

// Down-projections 7168 x (1536 + 512 + 64), their norms and the layer's, and the router are on each rank.
TEST_CASE("MLA's down-projections and the router are whole on each tensor rank") {
  const Model m = load_model("deepseek-v3");
  Layout l;
  l.tensor = 4;
  const double down = 7168.0 * (1536 + 512 + 64), up = 1536.0 * 128 * 192 + 512.0 * 128 * 256,
               out = 128.0 * 128 * 7168, shared = 3.0 * 7168 * 2048;
  const double norms = 1536 + 512 + 2 * 7168, router = 7168.0 * 256;
  CHECK(layer_rank_parameters(m, l, true).dense ==
        doctest::Approx(down + norms + router + (up + out + shared) / 4).epsilon(1e-12));
}

// Beside a layer like the last one: [2 h, h] cut over the tensor ranks, and three norms of h, or of 2 h with a shift.
TEST_CASE("a module of multi-token prediction adds its projection's share and three whole norms to a layer") {
  StepCase c;
  c.layout.tensor = 2;
  for (const bool shift : {false, true}) {
    c.model.layer_norm = shift;
    c.model.predicted_tokens = 0;
    const double without = rank_parameters(c.model, c.layout, c.spec(), 0).dense;
    c.model.predicted_tokens = 1;
    const double added = rank_parameters(c.model, c.layout, c.spec(), 0).dense - without;
    const double layer = layer_rank_parameters(c.model, c.layout, false).dense;
    CHECK(added - layer ==
          doctest::Approx(2.0 * 4096 * 4096 / 2 + 3 * 4096 * (shift ? 2 : 1)).epsilon(1e-12));
  }
}

}  // namespace
}  // namespace runcast
