// Files of a sweep's results as they are merged: JSON lines that anybody may have edited.
#include "scenarios/shard.hpp"
#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void results(std::string_view input) {
  answered([&] { (void)merged({{"a.jsonl", std::string(input)}}); });
}

}  // namespace runcast::fuzz
