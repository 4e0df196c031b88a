// --assert: a claim in words, judged about a small result.
#include "tools/report/assertion.hpp"

#include <nlohmann/json.hpp>

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void assertion(std::string_view input) {
  static const nlohmann::ordered_json result = {
      {"step",
       {{"mfu", 0.4}, {"name", "x"}, {"fits", true}, {"stages", {{{"gib", 1.5}}, {{"gib", nullptr}}}}}}};
  answered([&] { (void)Assertion(std::string(input)).judge(result); });
}

}  // namespace runcast::fuzz
