// The smallest program on the installed library: parameters of a library model.
#include <cstdio>

#include "scenarios/library_entries.hpp"

int main() {
  const runcast::Model model = runcast::model_named("llama3-8b", runcast::Library(), "consumer");
  std::printf("%lld\n", static_cast<long long>(runcast::count_parameters(model).total));
}
