// The tests of the whole program; `--write-golden` accepts its present figures instead.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <string_view>

#include "tests/golden.hpp"

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--write-golden") return runcast::write_golden();
  return doctest::Context(argc, argv).run();
}
