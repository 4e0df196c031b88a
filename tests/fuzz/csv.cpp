// Tables that people have. The first letter of the input says of which kind it is: p(ublished steps), f(ailures),
// n(ccl-tests), g(EMM times); any other is only taken apart. The rest after the first line end is the file.
#include "scenarios/csv.hpp"

#include <algorithm>

#include "scenarios/bench_calibration.hpp"
#include "scenarios/failure_log.hpp"
#include "scenarios/published.hpp"
#include "tests/fuzz/targets.hpp"

namespace runcast::fuzz {

void csv(std::string_view input) {
  static const Library library;
  const char kind = input.empty() ? ' ' : input.front();
  const std::string_view text = input.substr(std::min(input.find('\n'), input.size() - 1) + 1);
  answered([&] {
    if (kind == 'p') {
      (void)read_published(text, "table.csv");
    } else if (kind == 'f') {
      const FailureRecord record = read_failure_log(text, "table.csv", {});
      if (record.failures.size() <= 100) (void)failure_model_yaml("fuzzed", record, fit_record(record));
    } else if (kind == 'n') {
      (void)read_nccl_tests(text, "log.txt");
    } else if (kind == 'g') {
      // Only what is refused before the fit: a fit takes a second.
      if (std::ranges::count(text, '\n') < 3 && text.size() < 200) (void)parse_csv(text, "table.csv");
    } else {
      (void)parse_csv(text, "table.csv");
    }
  });
}

}  // namespace runcast::fuzz
