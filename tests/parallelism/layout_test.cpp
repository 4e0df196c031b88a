// Rank grids, groups, and what a layout may not be.
#include "parallelism/layout.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace runcast {
namespace {

Model dense_model() {
  Model m;
  m.name = "llama3-405b";
  m.layers = 126;
  m.hidden = 16384;
  m.ffn = 53248;
  m.heads = 128;
  m.kv_heads = 8;
  m.head_dim = 128;
  m.vocabulary = 128256;
  return m;
}

Model expert_model() {
  Model m = dense_model();
  m.experts = Experts{.count = 8, .top_k = 2, .ffn = 1024, .shared_ffn = 0, .dense_layers = 0};
  return m;
}

struct Reading {
  Layout layout;
  std::string errors;
};

Reading read(const std::string& yaml, const Model& model, std::int64_t gpus, std::int64_t sequence = 8192) {
  Document document = Document::parse("layout: {" + yaml + "}\n", "s.yaml");
  Reading reading;
  reading.layout = read_layout(document.root().section("layout"), model, gpus, sequence);
  try {
    document.finish();
  } catch (const ConfigError& e) {
    reading.errors = e.what();
  }
  return reading;
}

// The sentence of the only error: its first line, behind file:line:column.
std::string sentence(const std::string& yaml, const Model& model, std::int64_t gpus,
                     std::int64_t sequence = 8192) {
  const std::string all = read(yaml, model, gpus, sequence).errors;
  const std::string line = all.substr(0, all.find('\n'));
  const std::size_t space = line.find(": ");
  return space == std::string::npos ? line : line.substr(space + 2);
}

std::vector<int> numbers(const std::vector<RankId>& ranks) {
  std::vector<int> values;
  for (RankId r : ranks) values.push_back(r.value);
  return values;
}

using Ranks = std::vector<int>;

// ---- grid -----------------------------------------------------------------------------------------------

// LLaMA 3's order, 2 each: rank = t + 2 c + 4 p + 8 d.
TEST_CASE("tensor, context, pipeline, data: pipeline neighbours lie inside data neighbours") {
  Layout l;
  l.tensor = l.context = l.pipeline = l.data = 2;
  CHECK(l.world() == 16);
  CHECK(l.rank(1, 0, 1, 1).value == 13);
  CHECK(numbers(l.group(Axis::tensor, 1)) == Ranks{4, 5});
  CHECK(numbers(l.group(Axis::context, 1)) == Ranks{4, 6});
  CHECK(numbers(l.group(Axis::pipeline)) == Ranks{0, 4});
  CHECK(numbers(l.group(Axis::data, 1)) == Ranks{4, 12});
  CHECK(numbers(l.group(Axis::context, Axis::data, 0)) == Ranks{0, 2, 8, 10});
}

// Megatron's order: rank = t + 2 c + 4 d + 8 p.
TEST_CASE("tensor, context, data, pipeline: a stage is one block of ranks") {
  const Reading reading =
      read("tensor: 2, context: 2, pipeline: 2, order: [tensor, context, data, pipeline]", dense_model(), 16);
  REQUIRE(reading.errors == "");
  const Layout& l = reading.layout;
  CHECK(l.data == 2);
  CHECK(l.rank(1, 0, 1, 1).value == 13);
  CHECK(l.rank(0, 0, 1, 0).value == 8);
  CHECK(numbers(l.group(Axis::pipeline)) == Ranks{0, 8});
  CHECK(numbers(l.group(Axis::data, 1)) == Ranks{8, 12});
  CHECK(numbers(l.group(Axis::context, Axis::data, 1)) == Ranks{8, 10, 12, 14});
}

TEST_CASE("every rank of the grid has one place, in both orders") {
  Layout l;
  l.tensor = 2, l.context = 3, l.pipeline = 4, l.data = 5;
  for (const auto& order : {std::array{Axis::tensor, Axis::context, Axis::pipeline, Axis::data},
                            std::array{Axis::tensor, Axis::context, Axis::data, Axis::pipeline}}) {
    l.order = order;
    std::vector<int> seen(120, 0);
    for (int t = 0; t < 2; ++t)
      for (int c = 0; c < 3; ++c)
        for (int p = 0; p < 4; ++p)
          for (int d = 0; d < 5; ++d) ++seen.at(static_cast<std::size_t>(l.rank(t, c, p, d).value));
    CHECK(seen == std::vector<int>(120, 1));
  }
}

TEST_CASE("data: auto is what is left of the GPUs") {
  const Reading reading = read("tensor: 8, pipeline: 16", dense_model(), 16384);
  CHECK(reading.errors == "");
  CHECK(reading.layout.data == 128);
  CHECK(reading.layout.sequence_parallel);  // on by default with tensor parallelism
  CHECK_FALSE(read("tensor: 1", dense_model(), 8).layout.sequence_parallel);
}

// tensor 2 x context 1 x data 8 = 16 ranks = expert 4 x expert_tensor 2 x expert_data 2.
TEST_CASE("experts have a grid of their own inside tensor x context x data") {
  const Reading reading = read("tensor: 2, expert: 4, expert_tensor: 2", expert_model(), 16);
  CHECK(reading.errors == "");
  CHECK(reading.layout.expert_data() == 2);
}

// ---- refusals, word for word ----------------------------------------------------------------------------

TEST_CASE("heads that do not divide are refused with the legal degrees, at the key") {
  CHECK(sentence("tensor: 24, sequence_parallel: false", dense_model(), 24) ==
        "128 attention heads are not divisible by tensor 24; legal: 1 2 4 8 16 32 64 128");
  CHECK(read("tensor: 24, sequence_parallel: false", dense_model(), 24)
            .errors.starts_with("s.yaml:1:18: 128 att"));
}

TEST_CASE("degrees that do not multiply out to the cluster are refused") {
  CHECK(sentence("tensor: 8, pipeline: 3", dense_model(), 16) ==
        "tensor 8 x context 1 x pipeline 3 = 24 does not divide the cluster's 16 GPUs; nearest legal "
        "products: 16");
  CHECK(sentence("tensor: 8, data: 4", dense_model(), 16) ==
        "tensor 8 x context 1 x pipeline 1 x data 4 = 32 is not the cluster's 16 GPUs; data must be 2 (or "
        "auto)");
  CHECK(sentence("tensor: 0", dense_model(), 16) == "tensor must be between 1 and 1000000, not 0");
}

TEST_CASE("sequences that do not divide are refused") {
  CHECK(sentence("context: 8", dense_model(), 8, 1000) ==
        "sequence_length 1000 is not divisible into 2 x context = 16 chunks; nearest legal sequence_length: "
        "992 or 1008");
  CHECK(sentence("tensor: 8, sequence_parallel: true", dense_model(), 8, 1001) ==
        "sequence_length 1001 is not divisible by tensor x context = 8; nearest legal sequence_length: "
        "1000 or 1008");
  CHECK(sentence("tensor: 32, context: 8, context_method: ulysses", dense_model(), 256) ==
        "128 attention heads are not divisible by tensor x context = 256, as ulysses needs; legal products: "
        "1 2 4 8 16 32 64 128");
}

TEST_CASE("experts that do not divide are refused") {
  CHECK(sentence("expert: 3", expert_model(), 3) ==
        "8 experts are not divisible by expert 3; legal: 1 2 4 8");
  CHECK(sentence("expert: 8", expert_model(), 4) ==
        "expert 8 x expert_tensor 1 does not divide tensor x context x data = 4; nearest legal products: 4");
  CHECK(sentence("expert: 2", dense_model(), 4) == "llama3-405b has no experts; expert must be 1");
}

TEST_CASE("key and value heads must divide or be replicated evenly") {
  Model m = dense_model();
  m.heads = 96, m.kv_heads = 12, m.ffn = 96;
  CHECK(sentence("tensor: 8", m, 8) ==
        "12 kv_heads can be neither divided nor replicated over tensor 8; legal: 1 2 3 4 6 12 24 48 96");
  CHECK(sentence("tensor: 24", m, 24, 2400) == "");
}

TEST_CASE("an order names each axis once") {
  CHECK(sentence("order: [tensor, data, pipeline, pipeline]", dense_model(), 8) ==
        "order must name tensor, context, pipeline and data once each, innermost first");
}

TEST_CASE("a degree's typo names the nearest key") {
  CHECK(sentence("tensr: 8", dense_model(), 8) == "unknown key 'layout.tensr', did you mean 'tensor'?");
}

TEST_CASE("divisors come in order, up to a limit") {
  CHECK(divisors_text(12, 100) == "1 2 3 4 6 12");
  CHECK(divisors_text(12, 5) == "1 2 3 4");
}

}  // namespace
}  // namespace runcast
