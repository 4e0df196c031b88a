// Study files: read, then some of their points by index.
#include "scenarios/study.hpp"

#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void study(std::string_view input) {
  static const Library library;
  answered([&] {
    const std::string text(input);
    Document document = Document::parse(text, "study.yaml");
    const Study read = read_study(document, text, library);
    for (const std::int64_t index : {std::int64_t{0}, read.count / 2, read.count - 1})
      (void)read.point(index);
  });
}

}  // namespace runcast::fuzz
