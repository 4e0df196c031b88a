// --set: each line is an assignment to a small document, which is then read as a whole.
#include "scenarios/scenario.hpp"

#include <nlohmann/json.hpp>

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void overrides(std::string_view input) {
  answered([&] {
    Document document = Document::parse(
        "name: x\nlist: [1, 2]\nmaps: [{a: 1}, {a: 2}]\nmap: {b: {c: 5 min}}\n", "small.yaml");
    for (std::string_view rest = input; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      document.set(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    Section root = document.root();
    (void)root.text("name", "");
    (void)root.counts("list");
    for (Section item : root.list("maps")) (void)item.count("a", 1);
    if (auto map = root.optional_section("map"))
      if (auto inner = map->optional_section("b")) (void)inner->seconds("c", Seconds(1));
    document.finish();
    (void)document.resolved().dump();
  });
}

}  // namespace runcast::fuzz
